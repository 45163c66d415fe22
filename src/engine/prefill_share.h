// What prefill gets of a step beside running streams, from what the streams take themselves. Pure arithmetic.
#pragma once

#include "base/clock.h"

namespace strata {

// The prompts that are not computed yet.
struct PromptQueue {
  bool crowd = false;        // more than one waits, or came of late
  bool one_ended = false;    // in the step before, beside decodes
  double first_seconds = 0;  // what is left of the first in rank
  double step_seconds = 0;   // of computing: what a step must do to keep up with what comes
};

class PrefillShare {
 public:
  // `target_itl`: longest step while sequences decode; 0: follows the time that they take themselves.
  PrefillShare() = default;
  explicit PrefillShare(Duration target_itl) : target_itl_(target_itl) {}

  // In a step without decodes, where one decode would take `decode_seconds`.
  double seconds_alone(double decode_seconds, const PromptQueue& queue) const;
  // In a step whose decodes take `decode_seconds`. 0: the step is left to them.
  double seconds_beside(double decode_seconds, const PromptQueue& queue) const;
  // By how much those decodes lengthen the computing of prompts in a crowd.
  double pace(double decode_seconds) const;

  static double least_seconds(double decode_seconds);

 private:
  Duration target_itl_{};
};

}  // namespace strata
