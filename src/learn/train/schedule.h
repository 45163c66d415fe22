// The learning rate of each step: a linear warm-up to the peak, then a decay. A pure function of the step.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace strata {

enum class ScheduleKind : uint8_t {
  kConstant,
  kCosine,  // half a cosine from the peak to the end
  kLinear,
  kWsd,  // warm-up, stable, decay (https://arxiv.org/abs/2404.06395): linear in the last decay_steps
};

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 1e-3;
  double final_ratio = 0.1;  // the last step's rate over the peak
  int64_t steps = 1000;      // of the whole run
  int64_t warmup_steps = 0;  // the rate of step s (from 1) is peak * s / warmup_steps
  int64_t decay_steps = 0;   // of WSD; 0: a tenth of the steps
};

Result<ScheduleKind> schedule_from_name(std::string_view name);  // constant, cosine, linear, wsd
// `step` counts from 1; beyond the last step the rate stays.
double learning_rate(const ScheduleOptions& options, int64_t step);

}  // namespace strata
