#include "base/absence.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kSlice = milliseconds(3);

TEST(Absence, NobodyStaysOutForTheUsualEndOfAPhase) {
  Absence absence;
  FakeClock clock;
  clock.advance(seconds(1));
  EXPECT_EQ(absence.decide(std::chrono::microseconds(80), clock.now()), Duration::zero());
}

TEST(Absence, GrowsWhileTheProcessorIsShared) {
  Absence absence;
  FakeClock clock;
  clock.advance(seconds(1));
  Duration out{};
  Duration wasted{};
  const TimePoint start = clock.now();
  for (int i = 0; i < 40; ++i) {
    const Duration next = absence.decide(kSlice, clock.now());
    EXPECT_GE(next, out);
    EXPECT_LE(next, Absence::kLongest);
    out = next;
    clock.advance(out + kSlice);  // it comes back and is late again
    wasted += kSlice;
  }
  EXPECT_EQ(out, Absence::kLongest);
  EXPECT_LT(to_seconds(wasted), 0.02 * to_seconds(clock.now() - start));
}

TEST(Absence, OneInterruptionIsForgotten) {
  Absence absence;
  FakeClock clock;
  clock.advance(seconds(1));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(absence.decide(kSlice, clock.now()), Absence::kShortest);
    clock.advance(milliseconds(500));
  }
}

TEST(Absence, IsShortAgainSomeTimeAfterTheNeighbourLeft) {
  Absence absence;
  FakeClock clock;
  clock.advance(seconds(1));
  for (int i = 0; i < 20; ++i) clock.advance(absence.decide(kSlice, clock.now()));
  clock.advance(seconds(5));
  EXPECT_EQ(absence.decide(kSlice, clock.now()), Absence::kShortest);
}

}  // namespace
}  // namespace strata
