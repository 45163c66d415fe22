#include "base/absence.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kSlice = milliseconds(3);

// A worker whose processor another process uses all the time: it runs for a slice, then the others wait for one.
class SharedProcessor {
 public:
  SharedProcessor() { clock.advance(seconds(1)); }
  Duration slice() {
    clock.advance(2 * kSlice);
    return absence.decide(kSlice, clock.now());
  }

  Absence absence{2};
  FakeClock clock;
};

TEST(Absence, NobodyStaysOutForTheUsualEndOfAPhase) {
  Absence absence(2);
  FakeClock clock;
  for (int i = 0; i < 1000; ++i) {
    clock.advance(milliseconds(1));
    EXPECT_EQ(absence.decide(microseconds(400), clock.now()), Duration::zero());
  }
}

TEST(Absence, BeginsSoonAndGrowsWhileTheProcessorIsShared) {
  SharedProcessor shared;
  Duration out{};
  Duration wasted{};
  const TimePoint start = shared.clock.now();
  for (int i = 0; i < 60; ++i) {
    const Duration next = shared.slice();
    if (i >= 6) {
      EXPECT_GE(next, std::max(out, Absence::kShortest)) << i;
    }
    EXPECT_LE(next, Absence::kLongest);
    out = next;
    shared.clock.advance(out);
    wasted += 2 * kSlice;
  }
  EXPECT_EQ(out, Absence::kLongest);
  EXPECT_LT(to_seconds(wasted), 0.04 * to_seconds(shared.clock.now() - start));
}

// What sending the events of a step takes from a worker, in every step of some milliseconds.
TEST(Absence, ShortVisitorsAreWorthStayingFor) {
  Absence absence(2);
  FakeClock clock;
  for (int i = 0; i < 1000; ++i) {
    clock.advance(milliseconds(20));
    EXPECT_EQ(absence.decide(milliseconds(1), clock.now()), Duration::zero());
  }
}

// Where many wait for one, less is too much.
TEST(Absence, TheMoreWaitTheSoonerOneIsGivenUp) {
  Absence absence(32);
  FakeClock clock;
  clock.advance(milliseconds(20));
  EXPECT_EQ(absence.decide(milliseconds(1), clock.now()), Absence::kShortest);
}

TEST(Absence, OneInterruptionIsForgotten) {
  Absence absence(2);
  FakeClock clock;
  for (int i = 0; i < 10; ++i) {
    clock.advance(milliseconds(500));
    EXPECT_EQ(absence.decide(kSlice, clock.now()), Duration::zero());
  }
}

TEST(Absence, IsShortAgainSomeTimeAfterTheNeighbourLeft) {
  SharedProcessor shared;
  for (int i = 0; i < 20; ++i) shared.clock.advance(shared.slice());
  shared.clock.advance(seconds(5));
  Duration first{};
  while (first == Duration::zero()) first = shared.slice();
  EXPECT_EQ(first, Absence::kShortest);
}

}  // namespace
}  // namespace strata
