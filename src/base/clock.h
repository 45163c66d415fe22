// Time as a value that is passed in, so that a policy runs the same in production, in a test and in a simulator.
#pragma once

#include <chrono>

namespace strata {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

// The machine's monotonic clock. Thread-safe.
const Clock& steady_clock();

// Moves only when told to. One thread.
class FakeClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  void advance(Duration step) { now_ += step; }

 private:
  TimePoint now_{};
};

inline double to_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace strata
