#include "compute/tensor/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernel_test.h"

namespace strata {
namespace {

TEST(HalfTest, EveryHalfComesBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float value = half_to_float(static_cast<uint16_t>(h));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
      EXPECT_EQ(h & 0x7c00, 0x7c00u);
    } else {
      ASSERT_EQ(float_to_half(value), h) << value;
    }
  }
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
}

TEST(HalfTest, RoundsToNearestTiesToEven) {
  EXPECT_EQ(float_to_half(2049.0f), float_to_half(2048.0f));  // half way, down to even
  EXPECT_EQ(float_to_half(2051.0f), float_to_half(2052.0f));  // half way, up to even
  EXPECT_EQ(float_to_half(2049.01f), float_to_half(2050.0f));
  EXPECT_EQ(float_to_half(65519.9f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(std::ldexp(1.0f, -25)), 0);                 // half of the smallest: to even
  EXPECT_EQ(float_to_half(std::ldexp(1.5f, -25)), 1);
  EXPECT_EQ(float_to_half(-std::ldexp(1.0f, -30)), 0x8000);
}

// The hardware's conversion, where a table uses it, is the same function.
class HalfCacheTest : public test::KernelTest {};
STRATA_TEST_EVERY_TABLE(HalfCacheTest);

TEST_P(HalfCacheTest, CacheRoundsAsFloatToHalfDoes) {
  const CacheShape shape{DType::kF16, 1, 16, 16, false};
  std::vector<uint16_t> cache(shape.block_bytes() / 2);
  const int64_t slot = 0;
  for (uint32_t bits = 0x32000000; bits < 0x48000000; bits += 0x1357) {  // 2^-27 ... 2^17
    float v[16], k[16] = {};
    for (uint32_t i = 0; i < 16; ++i) v[i] = std::bit_cast<float>(bits + i * 0x71 + (i % 2 << 31));
    kernels().cache_write({shape, cache.data(), k, v, &slot}, 0, 1);
    for (int i = 0; i < 16; ++i) ASSERT_EQ(cache[16 * 16 + i], float_to_half(v[i])) << v[i];
  }
}

TEST(FloatModeTest, SubnormalNumbersAreZero) {
  set_compute_float_mode();
  volatile float small = 1e-38f, subnormal = std::bit_cast<float>(1u);
  EXPECT_EQ(std::bit_cast<uint32_t>(static_cast<float>(small * 0.01f)), 0u);   // results
  EXPECT_EQ(std::bit_cast<uint32_t>(static_cast<float>(subnormal * 1e30f)), 0u);  // operands
}

}  // namespace
}  // namespace strata
