// Collectives over the ranks of one group: one contract for one rank, threads of one process, MPI and NCCL.
//
// Every rank calls the same collectives in the same order. Sums add the ranks' contributions in ascending rank order,
// on every rank alike, so results are equal bits everywhere and on repeat. Blocking. One thread per rank.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"

namespace strata {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // data[i] = the sum of data[i] over the ranks.
  virtual Status all_sum(float* data, int64_t n) = 0;
};

// A group of one.
std::unique_ptr<Communicator> self_communicator();

// A group of n ranks inside this process; each rank is used by a thread of its own. The ranks share ownership of the
// group's meeting place, so they may be destroyed in any order.
std::vector<std::unique_ptr<Communicator>> thread_communicators(int n);

}  // namespace strata
