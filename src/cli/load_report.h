// What a load came to: counts, speeds, percentiles, goodput and the share of what the model alone could have done.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "cli/load.h"

namespace strata::cli {

// By nearest rank: the least value that at least `share` of the values do not exceed. 0 without values.
double percentile(std::span<const double> sorted, double share);

struct LoadLimits {
  double ttft_s = 0;  // 0: any
  double e2e_s = 0;
  double prefill_tok_s = 0;  // of the model alone; 0: no bound asked for
  double decode_tok_s = 0;
};
nlohmann::ordered_json load_report(const std::vector<LoadOutcome>& outcomes, double seconds, const LoadLimits& limits);
void print_load_report(const nlohmann::ordered_json& report);

}  // namespace strata::cli
