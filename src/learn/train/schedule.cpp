#include "learn/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

namespace strata {

Result<ScheduleKind> schedule_from_name(std::string_view wanted) {
  static constexpr std::pair<std::string_view, ScheduleKind> kNames[] = {{"constant", ScheduleKind::kConstant},
                                                                         {"cosine", ScheduleKind::kCosine},
                                                                         {"linear", ScheduleKind::kLinear},
                                                                         {"wsd", ScheduleKind::kWsd}};
  for (const auto& [known, kind] : kNames) {
    if (known == wanted) return kind;
  }
  return invalid_argument("no schedule named \"" + std::string(wanted) + "\" (known: constant, cosine, linear, wsd)");
}

double learning_rate(const ScheduleOptions& o, int64_t step) {
  if (step < o.warmup_steps) return o.peak * static_cast<double>(step) / static_cast<double>(o.warmup_steps);
  const int64_t decay = o.kind == ScheduleKind::kWsd
                            ? (o.decay_steps > 0 ? o.decay_steps : std::max<int64_t>(1, o.steps / 10))
                            : o.steps - std::max<int64_t>(o.warmup_steps, 1);
  const int64_t start = o.steps - std::max<int64_t>(decay, 1);
  const double done =
      std::clamp(static_cast<double>(step - start) / static_cast<double>(std::max<int64_t>(decay, 1)), 0.0, 1.0);
  double share = 1;  // of the way from the end to the peak
  if (o.kind == ScheduleKind::kCosine) share = 0.5 * (1 + std::cos(std::numbers::pi * done));
  if (o.kind == ScheduleKind::kLinear || o.kind == ScheduleKind::kWsd) share = 1 - done;
  return o.peak * (o.final_ratio + (1 - o.final_ratio) * share);
}

}  // namespace strata
