#include "engine/step_gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace strata {
namespace {

constexpr Duration kLongGrace = std::chrono::seconds(60);  // no result hangs on how busy the machine is

// Time as the turns spend it. Read by the thread that has the turn alone.
class TurnClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint(Duration(ticks_.load())); }
  void spend(int ticks) { ticks_ += ticks; }

 private:
  std::atomic<int64_t> ticks_{0};
};

TEST(StepGateTest, OneTurnAtATime) {
  StepGate gate(steady_clock());
  std::atomic<int> inside{0};
  std::atomic<int> turns{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      StepGate::Member member(gate);
      for (int i = 0; i < 200; ++i) {
        const StepGate::Turn turn = member.enter();
        EXPECT_EQ(++inside, 1);
        ++turns;
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns, 800);
}

TEST(StepGateTest, SharesTimeNotTurns) {
  TurnClock clock;
  StepGate gate(clock, kLongGrace);
  StepGate::Member small(gate);
  StepGate::Member large(gate);
  std::atomic<bool> stop{false};
  std::atomic<int> small_turns{0};
  std::atomic<int> large_turns{0};
  const auto work = [&](StepGate::Member& member, int cost, std::atomic<int>& turns) {
    while (!stop) {
      const StepGate::Turn turn = member.enter();
      clock.spend(cost);
      ++turns;
    }
    member.rest();
  };
  std::thread a([&] { work(small, 10, small_turns); });
  std::thread b([&] { work(large, 100, large_turns); });
  while (large_turns < 2 || small_turns < 2) std::this_thread::yield();
  const Duration small_before = small.used();
  const Duration large_before = large.used();
  const int from = large_turns;
  while (large_turns < from + 28) std::this_thread::yield();
  const double ratio = static_cast<double>((small.used() - small_before).count()) /
                       static_cast<double>((large.used() - large_before).count());
  stop = true;
  a.join();
  b.join();
  EXPECT_GT(ratio, 0.5);
  EXPECT_LT(ratio, 1.5);
}

TEST(StepGateTest, ARestingMemberIsNotWaitedForAndSavesNothingUp) {
  TurnClock clock;
  StepGate gate(clock, kLongGrace);
  StepGate::Member idle(gate);
  StepGate::Member busy(gate);
  {
    const StepGate::Turn turn = idle.enter();
    clock.spend(1);
  }
  idle.rest();
  const TimePoint before = steady_clock().now();
  for (int i = 0; i < 50; ++i) {
    const StepGate::Turn turn = busy.enter();
    clock.spend(1000);
  }
  EXPECT_LT(steady_clock().now() - before, kLongGrace);
  // Back from its rest, it starts where the others are: the next turns alternate.
  std::atomic<int> turns{0};
  std::thread other([&] {
    for (int i = 0; i < 10; ++i) {
      const StepGate::Turn turn = busy.enter();
      clock.spend(1000);
      ++turns;
    }
    busy.rest();
  });
  while (turns < 2) std::this_thread::yield();
  for (int i = 0; i < 4; ++i) {
    const StepGate::Turn turn = idle.enter();
    clock.spend(1000);
  }
  EXPECT_GE(turns, 4);
  idle.rest();
  other.join();
}

}  // namespace
}  // namespace strata
