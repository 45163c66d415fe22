// When a worker stays out. A thread whose processor the system gives to another process in the middle of a piece lets
// all others wait for a whole slice, some milliseconds; on a shared processor that happens in nearly every step. Then
// the rest is faster without it. A policy: no clock and no thread of its own.
#pragma once

#include "base/clock.h"

namespace strata {

class Absence {
 public:
  static constexpr Duration kLate = std::chrono::microseconds(500);  // a slice is longer, the end of a phase shorter
  static constexpr Duration kShortest = std::chrono::milliseconds(4);
  static constexpr Duration kLongest = std::chrono::milliseconds(256);

  // Others waited `stall` for a piece of this worker, whose processor was taken away. How long it stays out from `now`
  // on: twice as long as before when it was late again soon after it came back, so that trying costs little; zero: it
  // was not late.
  Duration decide(Duration stall, TimePoint now) {
    if (stall < kLate) return Duration::zero();
    const bool soon = now - back_ < 8 * last_;
    last_ = soon ? (2 * last_ < kLongest ? 2 * last_ : kLongest) : kShortest;
    back_ = now + last_;
    return last_;
  }

 private:
  Duration last_{};   // absence
  TimePoint back_{};  // its end
};

}  // namespace strata
