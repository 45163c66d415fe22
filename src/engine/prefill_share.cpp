#include "engine/prefill_share.h"

#include <algorithm>

namespace strata {
namespace {

// In parts of the time that the step's decodes take. A prompt that is alone leaves gaps clearly below twice the usual
// and still gets almost half of the machine. Where prompts come one after the other, a slow prefill only makes a queue
// of them, and fewer sequences that decode together: then the streams yield.
constexpr double kSoleShare = 0.75;
constexpr double kCrowdShare = 6;
constexpr double kLeastShare = 0.25;  // where the decodes alone use the target up

}  // namespace

double PrefillShare::seconds_beside(double decode_seconds, bool crowd) const {
  if (target_itl_ > Duration::zero()) {
    return std::max(to_seconds(target_itl_) - decode_seconds, least_seconds(decode_seconds));
  }
  return (crowd ? kCrowdShare : kSoleShare) * decode_seconds;
}

double PrefillShare::pace(double decode_seconds) const {
  if (decode_seconds <= 0) return 1;
  const double beside = seconds_beside(decode_seconds, true);
  return (decode_seconds + beside) / beside;
}

double PrefillShare::least_seconds(double decode_seconds) { return kLeastShare * decode_seconds; }

}  // namespace strata
