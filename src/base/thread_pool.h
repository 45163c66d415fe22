// The process's compute threads. One job at a time: its phases follow each other, and the units of a phase are handed
// out in pieces to whoever comes. A phase is over when all its units are, not when all threads have met: a thread that
// the system does not run, and that holds no piece, delays nobody; it joins whatever phase it finds. So a whole step of
// the model is one job, whose threads are woken once, and the thread that finishes a phase opens the next.
//
// Pieces begin large and shrink towards the end of their phase (guided self-scheduling; Polychronopoulos, Kuck 1987):
// a thread mostly walks on through neighbouring units, and all finish together.
//
// Thread rule: one thread at a time calls run() and parallel_for(); it computes as worker 0. A worker with nothing to
// do looks for a few microseconds, then sleeps. One that let others wait because the system took its processor away
// stays out for a while (absence.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/topology.h"

namespace strata {

// A job. Both functions are called by any worker; what one phase writes, the next may read.
class PhasedWork {
 public:
  enum class Phase {
    kOver,   // there are no more phases
    kAlone,  // so little that handing it out would take longer: the caller computes it
    kShared,
  };
  virtual ~PhasedWork() = default;
  // Prepares the next phase: how many units each of the pool's groups should take first. While it runs, nothing of the
  // job is computed.
  virtual Phase next_phase(int64_t* units_of_group) = 0;
  // Units are numbered through all groups: those of group 0 first.
  virtual void compute(int64_t begin, int64_t end, int worker) = 0;
};

class ThreadPool {
 public:
  // A worker for each place, at least one; the first is the caller's and stays where the caller is.
  explicit ThreadPool(const std::vector<WorkerPlace>& places);
  explicit ThreadPool(int n_threads) : ThreadPool(std::vector<WorkerPlace>(static_cast<size_t>(n_threads))) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }
  // Workers of one NUMA node are a group: they take the units of their group before those of others.
  int n_groups() const;
  // The part [first, second) of n numbered things that belongs to a group: the same for memory that is written first
  // and for work that reads it.
  std::pair<int64_t, int64_t> share_of_group(int group, int64_t n) const;

  // Returns when the job is over.
  void run(PhasedWork& work);

  // Splits [0, n) in pieces of a multiple of `grain` and calls body(begin, end, worker) for each, on all workers.
  void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
  int n_threads_;
};

}  // namespace strata
