#include "engine/expert_load.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

TEST(ExpertLoad, SaysHowMuchMoreTheBusiestIsGiven) {
  ExpertLoad load({4, 2});
  EXPECT_EQ(load.n_layers(), 2);
  EXPECT_EQ(load.tokens(), 0u);
  EXPECT_EQ(load.imbalance(0), 0);
  load.count(0, std::vector<int32_t>{0, 1, 1, 7, 8});  // 1, 0, 6, 1
  load.count(0, std::vector<int32_t>{0, 2, 6, 6, 8});  // 2, 4, 0, 2
  load.count(1, std::vector<int32_t>{0, 5, 10});
  EXPECT_EQ(load.tokens(), 26u);
  EXPECT_DOUBLE_EQ(load.imbalance(0), 6 / 4.0);
  EXPECT_DOUBLE_EQ(load.imbalance(1), 1);
}

}  // namespace
}  // namespace strata
