// The model of step times: what it learns, how fast it follows, what does not confuse it.
#include "engine/step_cost.h"

#include <gtest/gtest.h>

#include "engine/random_requests.h"

namespace strata {
namespace {

struct Machine {
  double base = 0.02, decode = 0.001, prefill = 0.002, decode_1k = 0.0005, prefill_1k = 0.001;
  double seconds(const StepLoad& load) const {
    return base + decode * load.decodes + prefill * load.prefill_tokens + decode_1k * load.decode_positions / 1024 +
           prefill_1k * load.prefill_positions / 1024;
  }
};

Duration duration(double seconds) { return Duration(static_cast<int64_t>(seconds * 1e9)); }

StepLoad load(int decodes, int decode_context, int prefill, int prefill_begin) {
  StepLoad made;
  for (int i = 0; i < decodes; ++i) made.add(decode_context - 1, 1);
  if (prefill > 0) made.add(prefill_begin, prefill);
  return made;
}

StepLoad random_load(Dice& dice) {
  return load(dice.below(33), dice.between(1, 2000), dice.one_in(2) ? dice.between(2, 300) : 0, dice.below(2000));
}

// Every measured time is up to `noise` off either way.
void train(StepCost& cost, const Machine& machine, Dice& dice, int steps, double noise = 0.05) {
  for (int i = 0; i < steps; ++i) {
    StepLoad made = random_load(dice);
    if (made.empty()) continue;
    cost.learn(made, duration(machine.seconds(made) * (1 + noise * (dice.below(2001) - 1000) / 1000)));
  }
}

void expect_close(const StepCost& cost, const Machine& machine, double tolerance) {
  Dice dice(77);
  for (int i = 0; i < 50; ++i) {
    const StepLoad made = random_load(dice);
    if (made.empty()) continue;
    EXPECT_NEAR(cost.seconds(made) / machine.seconds(made), 1, tolerance)
        << made.decodes << " decodes, " << made.prefill_tokens << " prompt tokens";
  }
}

TEST(StepCostTest, NothingIsKnownBeforeTheFirstStep) {
  StepCost cost;
  EXPECT_FALSE(cost.known());
  EXPECT_FALSE(cost.knows_prefill());
  EXPECT_EQ(cost.seconds(load(8, 100, 0, 0)), 0);
  EXPECT_EQ(cost.prefill_within(0.001, 0, 500), 500);
  cost.learn(StepLoad(), duration(1));
  cost.learn(load(1, 10, 0, 0), Duration::zero());
  EXPECT_FALSE(cost.known());
}

TEST(StepCostTest, KnowsWhatPromptsCostWhenOneWasMostOfAStep) {
  StepCost cost;
  cost.learn(load(0, 0, 5, 0), duration(0.03));
  EXPECT_FALSE(cost.knows_prefill());
  cost.learn(load(0, 0, 200, 0), duration(0.3));
  EXPECT_TRUE(cost.knows_prefill());
  for (int i = 0; i < 1000; ++i) cost.learn(load(1, 100, 0, 0), duration(0.02));
  EXPECT_TRUE(cost.knows_prefill());
}

TEST(StepCostTest, LearnsWhatStepsCost) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    StepCost cost;
    Dice dice(seed);
    train(cost, Machine(), dice, 200);
    expect_close(cost, Machine(), 0.1);
  }
}

TEST(StepCostTest, OneLateStepChangesLittle) {
  StepCost cost;
  Dice dice(1);
  train(cost, Machine(), dice, 200);
  const StepLoad usual = load(8, 200, 0, 0);
  const double before = cost.seconds(usual);
  cost.learn(usual, duration(2));
  EXPECT_LT(cost.seconds(usual), 1.15 * before);
}

TEST(StepCostTest, FollowsAMachineThatChangesSpeed) {
  StepCost cost;
  Dice dice(1);
  train(cost, Machine(), dice, 200);
  Machine slow;
  for (double* part : {&slow.base, &slow.decode, &slow.prefill, &slow.decode_1k, &slow.prefill_1k}) *part *= 2;
  // Only decodes are seen, but prompts have become slower as well.
  for (int i = 0; i < 30; ++i) cost.learn(load(8, 200, 0, 0), duration(slow.seconds(load(8, 200, 0, 0))));
  EXPECT_NEAR(cost.seconds(load(8, 200, 0, 0)) / slow.seconds(load(8, 200, 0, 0)), 1, 0.05);
  EXPECT_NEAR(cost.seconds(load(8, 200, 100, 0)) / slow.seconds(load(8, 200, 100, 0)), 1, 0.2);
}

TEST(StepCostTest, OneKindOfStepForLongDoesNotSpoilTheOther) {
  StepCost cost;
  Dice dice(1);
  train(cost, Machine(), dice, 200);
  for (int i = 0; i < 20000; ++i) {
    const StepLoad made = load(8, 200 + i % 50, 0, 0);
    cost.learn(made, duration(Machine().seconds(made) * (1 + 0.05 * (dice.below(2001) - 1000) / 1000)));
  }
  const StepLoad mixed = load(8, 200, 64, 100);
  EXPECT_NEAR(cost.seconds(mixed) / Machine().seconds(mixed), 1, 0.25);
  for (int i = 0; i < 5; ++i) cost.learn(mixed, duration(Machine().seconds(mixed)));
  EXPECT_NEAR(cost.seconds(mixed) / Machine().seconds(mixed), 1, 0.05);
}

TEST(StepCostTest, FollowsWhatAnotherSawOfTheMachine) {
  StepCost cost;
  Dice dice(8);
  train(cost, Machine(), dice, 200);
  const StepLoad some = load(8, 300, 0, 0);
  const double before = cost.seconds(some);
  cost.follow(1.04);
  EXPECT_NEAR(cost.seconds(some), 1.04 * before, 1e-9);
  cost.follow(1 / 1.04);
  cost.follow(3);  // not the machine: the other did not know the step
  EXPECT_LT(cost.seconds(some), 1.06 * before);
  // It is not taken for what was measured: steps that say otherwise are believed.
  for (int i = 0; i < 16; ++i) cost.follow(1.04);
  for (int i = 0; i < 30; ++i) cost.learn(some, duration(Machine().seconds(some)));
  EXPECT_NEAR(cost.seconds(some), Machine().seconds(some), 0.1 * before);
}

TEST(StepCostTest, ChunksFillTheTimeTheyAreGiven) {
  StepCost cost;
  Dice dice(1);
  train(cost, Machine(), dice, 500, 0);
  for (const int begin : {0, 100, 1000, 4000}) {
    for (const double seconds : {0.003, 0.02, 0.2}) {
      const int count = cost.prefill_within(seconds, begin, 100000);
      const auto added = [&](int tokens) {
        return cost.seconds(load(8, 100, tokens, begin)) - cost.seconds(load(8, 100, 0, 0));
      };
      if (count >= 2) {
        EXPECT_LE(added(count), seconds * 1.0001);
      }
      EXPECT_GT(added(std::max(2, count + 1)), seconds * 0.9999);
    }
  }
  EXPECT_EQ(cost.prefill_within(10, 0, 7), 7);
  EXPECT_EQ(cost.prefill_within(-1, 0, 7), 0);
}

}  // namespace
}  // namespace strata
