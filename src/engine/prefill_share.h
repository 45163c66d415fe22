// What prefill gets of a step beside running streams, from what the streams take themselves. Pure arithmetic.
#pragma once

#include "base/clock.h"

namespace strata {

class PrefillShare {
 public:
  // `target_itl`: longest step while sequences decode; 0: follows the time that they take themselves.
  PrefillShare() = default;
  explicit PrefillShare(Duration target_itl) : target_itl_(target_itl) {}

  // In a step whose decodes take `decode_seconds`. `crowd`: more than one prompt waits, or came of late.
  double seconds_beside(double decode_seconds, bool crowd) const;
  // By how much those decodes lengthen the computing of prompts in a crowd.
  double pace(double decode_seconds) const;

  static double least_seconds(double decode_seconds);

 private:
  Duration target_itl_{};
};

}  // namespace strata
