// Where the time of runs goes, by kind of work: what a context measured (measure_waves), summed over equal tasks.
#pragma once

#include <string>
#include <vector>

#include "compute/graph/plan/context.h"

namespace strata {

// What all threads did during the runs of a measurement.
struct ProfileRow {
  std::string what;    // "matmul Q4_K 5632x2048", "rms_norm+to_activation", "waiting"
  double seconds = 0;  // of all threads together, over all runs
  double share = 0;    // of the threads' time
  double gops = 0;     // matmuls of all threads: operations and bytes (of the file's type) per second
  double gbs = 0;
};

// y = x W^T of one matrix or of experts.
bool is_matmul(const PlanStep& step);

// Most seconds first. `sizes`: the sums over the `runs` runs that took `seconds` together.
std::vector<ProfileRow> profile(const ExecutionContext& context, const SymbolValues& sizes, double runs,
                                double seconds);

}  // namespace strata
