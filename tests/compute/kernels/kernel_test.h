// What the kernel tests share: every fast table in turn, random numbers, and what "close" means.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "compute/kernels/cpu_kernels.h"
#include "compute/kernels/float_mode.h"

namespace strata::test {

// Each case runs once per table that this processor supports and that is not the reference itself.
class KernelTest : public ::testing::TestWithParam<const CpuKernels*> {
 protected:
  KernelTest() { set_compute_float_mode(); }
  const CpuKernels& kernels() const { return *GetParam(); }
};

inline std::vector<const CpuKernels*> fast_tables() {
  std::vector<const CpuKernels*> tables;
  for (const char* name : {"generic", "avx2", "avx512vnni", "avx512"}) {
    if (const CpuKernels* table = find_cpu_kernels(name)) tables.push_back(table);
  }
  return tables;
}

#define STRATA_TEST_EVERY_TABLE(fixture)                                                                  \
  INSTANTIATE_TEST_SUITE_P(Isa, fixture, ::testing::ValuesIn(::strata::test::fast_tables()),              \
                           [](const auto& table) { return std::string(table.param->name); })

inline std::vector<float> random_floats(uint32_t seed, size_t n, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> numbers(n);
  for (float& x : numbers) x = normal(generator);
  return numbers;
}

inline float largest_magnitude(const std::vector<float>& numbers) {
  float largest = 0;
  for (float x : numbers) largest = std::max(largest, std::fabs(x));
  return largest;
}

// |actual - expected| <= tolerance * largest |expected|, and no NaN.
inline void expect_close(const std::vector<float>& actual, const std::vector<float>& expected, float tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  const float limit = tolerance * largest_magnitude(expected);
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::fabs(actual[i] - expected[i]), limit) << "at " << i << ": " << actual[i] << ", not " << expected[i];
    ASSERT_FALSE(std::isnan(actual[i])) << "at " << i;
  }
}

inline void expect_same_bits(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), std::bit_cast<uint32_t>(expected[i]))
        << "at " << i << ": " << actual[i] << ", not " << expected[i];
  }
}

}  // namespace strata::test
