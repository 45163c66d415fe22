// What prefill gets of a step.
#include "engine/prefill_share.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

TEST(PrefillShareTest, APromptAloneLeavesGapsBelowTwiceTheUsualACrowdDoesNot) {
  const PrefillShare share;
  EXPECT_LT(share.seconds_beside(0.02, false), 0.02);
  EXPECT_GT(share.seconds_beside(0.02, false), 0.01);
  EXPECT_GT(share.seconds_beside(0.02, true), 0.1);
}

TEST(PrefillShareTest, ATargetLeavesWhatDecodesDoNotTakeAndALittleAlways) {
  const PrefillShare share(std::chrono::milliseconds(50));
  for (const bool crowd : {false, true}) {
    EXPECT_DOUBLE_EQ(share.seconds_beside(0.03, crowd), 0.02);
    EXPECT_DOUBLE_EQ(share.seconds_beside(0.1, crowd), PrefillShare::least_seconds(0.1));
  }
}

TEST(PrefillShareTest, ThePaceIsTheStepOverItsPrefill) {
  const PrefillShare share(std::chrono::milliseconds(50));
  EXPECT_DOUBLE_EQ(share.pace(0), 1);
  EXPECT_DOUBLE_EQ(share.pace(0.03), 2.5);
}

}  // namespace
}  // namespace strata
