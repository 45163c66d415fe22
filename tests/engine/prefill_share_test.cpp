// What prefill gets of a step.
#include "engine/prefill_share.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

constexpr PromptQueue kCrowd{.crowd = true};

TEST(PrefillShareTest, APromptAloneLeavesGapsBelowTwiceTheUsualACrowdDoesNot) {
  const PrefillShare share;
  EXPECT_LT(share.seconds_beside(0.02, {}), 0.02);
  EXPECT_GT(share.seconds_beside(0.02, {}), 0.01);
  EXPECT_GT(share.seconds_beside(0.02, kCrowd), 0.1);
}

TEST(PrefillShareTest, InACrowdAPromptOfSomeSharesIsComputedWhole) {
  const PrefillShare share;
  const double usual = share.seconds_beside(0.02, kCrowd);
  const auto crowd = [&](double first) { return share.seconds_beside(0.02, {.crowd = true, .first_seconds = first}); };
  EXPECT_DOUBLE_EQ(crowd(usual / 2), usual);
  EXPECT_GT(crowd(2 * usual), 2 * usual);
  EXPECT_LT(crowd(2 * usual), 2.1 * usual);
  EXPECT_DOUBLE_EQ(crowd(4 * usual), usual);
  EXPECT_LT(share.seconds_beside(0.02, {.first_seconds = 2 * usual}), 0.02);
}

TEST(PrefillShareTest, InACrowdTheStepAfterAPromptIsLeftToTheStreams) {
  const PrefillShare share;
  EXPECT_EQ(share.seconds_beside(0.02, {.crowd = true, .one_ended = true}), 0);
  EXPECT_GT(share.seconds_beside(0.02, {.one_ended = true}), 0);
}

TEST(PrefillShareTest, ATargetLeavesWhatDecodesDoNotTakeAndALittleAlways) {
  const PrefillShare share(std::chrono::milliseconds(50));
  for (const bool crowd : {false, true}) {
    EXPECT_DOUBLE_EQ(share.seconds_beside(0.03, {.crowd = crowd, .one_ended = crowd}), 0.02);
    EXPECT_DOUBLE_EQ(share.seconds_beside(0.1, {.crowd = crowd}), PrefillShare::least_seconds(0.1));
  }
}

TEST(PrefillShareTest, ThePaceIsTheStepOverItsPrefill) {
  const PrefillShare share(std::chrono::milliseconds(50));
  EXPECT_DOUBLE_EQ(share.pace(0), 1);
  EXPECT_DOUBLE_EQ(share.pace(0.03), 2.5);
  EXPECT_GT(PrefillShare().pace(0.03), 1.3);
  EXPECT_LT(PrefillShare().pace(0.03), 1.4);
}

}  // namespace
}  // namespace strata
