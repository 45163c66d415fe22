#include "engine/prefill_share.h"

#include <algorithm>
#include <limits>

namespace strata {
namespace {

// In parts of the time that the step's decodes take. A prompt that is alone leaves gaps clearly below twice the usual
// and still gets almost half of the machine. Where prompts come one after the other, a slow prefill only makes a queue
// of them, and fewer sequences that decode together: then the streams yield.
constexpr double kSoleShare = 0.8;
constexpr double kCrowdShare = 6;

// In a crowd a prompt is computed whole if it takes at most so many shares: its rest would wait for another step, and those
// who begin in one step end in one step, so that their clients' next prompts come together again.
constexpr double kMostShares = 3;
constexpr double kRounding = 1.02;  // so that no token is left over for an estimate
constexpr double kLeastRoom = 3;    // of what a step offers to prompts over what each must do: every other one, and some more
constexpr double kLeastShare = 0.25;  // where the decodes alone use the target up

}  // namespace

// Prompts that end in one step are answered as late as the last of them, now and whenever their clients ask again. More
// than one is computed where a step costs much beside a prompt.
double PrefillShare::seconds_alone(double decode_seconds, const PromptQueue& queue) const {
  const bool is_known = decode_seconds > 0;
  if (!queue.crowd || !is_known) return std::numeric_limits<double>::infinity();
  return std::max(kCrowdShare * decode_seconds, kRounding * queue.first_seconds);
}

double PrefillShare::seconds_beside(double decode_seconds, const PromptQueue& queue) const {
  if (target_itl_ > Duration::zero()) {
    return std::max(to_seconds(target_itl_) - decode_seconds, least_seconds(decode_seconds));
  }
  if (!queue.crowd) return kSoleShare * decode_seconds;
  const double share = kCrowdShare * decode_seconds;
  const double whole = kRounding * queue.first_seconds;
  const double beside = whole <= kMostShares * share ? std::max(share, whole) : share;
  // After the end of a prompt the streams have a step of their own, if the others are enough for the prompts. Who comes
  // meanwhile waits for a short step, not for the next prompt, and those who begin in turn are two steps apart from then on.
  const bool every_other_suffices = queue.step_seconds <= beside / kLeastRoom;
  return queue.one_ended && every_other_suffices ? 0 : beside;
}

double PrefillShare::pace(double decode_seconds) const {
  if (decode_seconds <= 0) return 1;
  const double beside = seconds_beside(decode_seconds, {.crowd = true});
  const int decodes = target_itl_ > Duration::zero() ? 1 : 2;  // a step with prefill, then one without
  return (decodes * decode_seconds + beside) / beside;
}

double PrefillShare::least_seconds(double decode_seconds) { return kLeastShare * decode_seconds; }

}  // namespace strata
