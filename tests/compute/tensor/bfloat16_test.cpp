#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "compute/tensor/half.h"

namespace strata {
namespace {

TEST(BFloat16Test, EveryOneComesBack) {
  for (uint32_t b = 0; b < 0x10000; ++b) {
    const float value = bfloat16_to_float(static_cast<uint16_t>(b));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(value))));
    } else {
      ASSERT_EQ(float_to_bfloat16(value), b);
    }
  }
}

TEST(BFloat16Test, RoundsToNearestTiesToEven) {
  const auto rounded = [](uint32_t bits) { return float_to_bfloat16(std::bit_cast<float>(bits)); };
  EXPECT_EQ(rounded(0x3f808000), 0x3f80);  // half way, down to even
  EXPECT_EQ(rounded(0x3f818000), 0x3f82);  // half way, up to even
  EXPECT_EQ(rounded(0x3f808001), 0x3f81);
  EXPECT_EQ(rounded(0x7f7fffff), 0x7f80);  // the largest float: infinity is nearer
  EXPECT_EQ(rounded(0x00000001), 0x0000);
  EXPECT_EQ(rounded(0x00018000), 0x0002);  // subnormal
  EXPECT_EQ(rounded(0x7f800001), 0x7fc0);  // NaN keeps its quiet bit although its payload is cut off
}

}  // namespace
}  // namespace strata
