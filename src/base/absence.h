// When a worker stays out. A thread whose processor the system gives to another process in the middle of a piece lets
// all others wait for a whole slice, some milliseconds. On a processor that is shared all the time that happens in
// nearly every step, and the rest is faster without it. A short visitor, such as the thread that sends a step's events,
// costs less than the worker gives. A policy: no clock and no thread of its own.
#pragma once

#include "base/clock.h"

namespace strata {

class Absence {
 public:
  static constexpr Duration kLate = std::chrono::microseconds(500);  // a slice is longer, the end of a phase shorter
  static constexpr Duration kShortest = std::chrono::milliseconds(4);
  static constexpr Duration kLongest = std::chrono::milliseconds(256);

  // Of n threads, one that lets the others wait for more than 1 / n of its time takes more than it gives. In half of
  // that it is given up: the others also compute faster with memory and caches to themselves.
  explicit Absence(int n_threads) : most_stalled_(kMemory / (2 * n_threads)) {}

  // Others waited `stall` for a piece of this worker, whose processor was taken away. How long it stays out from `now`
  // on: zero while that is rare; twice as long as before when it was late again soon after it came back, so that trying
  // costs little.
  Duration decide(Duration stall, TimePoint now) {
    if (stall < kLate) return Duration::zero();
    const double present = to_seconds(now - since_);
    stalled_ = std::chrono::duration_cast<Duration>(stalled_ / (1 + present / to_seconds(kMemory))) + stall;
    since_ = now;
    if (stalled_ <= most_stalled_) return Duration::zero();
    const bool soon = now - back_ < 8 * last_;
    last_ = soon ? (2 * last_ < kLongest ? 2 * last_ : kLongest) : kShortest;
    since_ = back_ = now + last_;
    return last_;
  }

 private:
  static constexpr Duration kMemory = std::chrono::milliseconds(32);  // of time present

  Duration most_stalled_;
  Duration stalled_{};  // that others waited, of the last kMemory
  TimePoint since_{};   // stalled_ is as of then
  Duration last_{};     // absence
  TimePoint back_{};    // its end
};

}  // namespace strata
