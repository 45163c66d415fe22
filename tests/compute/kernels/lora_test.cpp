// Low-rank adapters against the reference, whatever the split.
#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

struct Packed {
  Packed(DType type, int64_t rank, int64_t width, int64_t group, uint32_t seed)
      : factor{type, nullptr, rank, width, group}, bytes(factor_bytes(factor)) {
    pack_adapter_factor(factor, random_floats(seed, static_cast<size_t>(rank * width)).data(), bytes.data());
    factor.data = bytes.data();
  }
  AdapterFactor factor;
  std::vector<std::byte> bytes;
};

class LoraTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(LoraTest);

TEST_P(LoraTest, FirstFactorIsNearTheReferenceAndAloneTheSameBits) {
  for (const DType type : {DType::kF32, DType::kBF16, DType::kI8}) {
    for (const int64_t k : {1, 17, 64, 100, 320}) {
      for (const int64_t rank : {1, 4, 6, 11}) {
        SCOPED_TRACE(testing::Message() << name(type) << " k " << k << " rank " << rank);
        const Packed a(type, rank, k, kAdapterRows, 1);
        const int64_t rows = 9, stride = rank + 3;
        const std::vector<float> x = random_floats(2, static_cast<size_t>(rows * k));
        std::vector<float> low(static_cast<size_t>(rows * stride), -7), expected = low, parts = low;
        kernels().lora_down(low.data(), stride, x.data(), rows, a.factor, 0.5f, 0, rank);
        kReferenceKernels.lora_down(expected.data(), stride, x.data(), rows, a.factor, 0.5f, 0, rank);
        expect_close(low, expected, 2e-6f);
        for (int64_t t = rows; t-- > 0;) {
          for (int64_t r = 0; r < rank; r += kAdapterRows) {
            kernels().lora_down(parts.data() + t * stride, stride, x.data() + t * k, 1, a.factor, 0.5f, r,
                                std::min(rank, r + kAdapterRows));
          }
        }
        expect_same_bits(parts, low);
      }
    }
  }
}

TEST_P(LoraTest, SecondFactorIsNearTheReferenceAndAloneTheSameBits) {
  for (const DType type : {DType::kF32, DType::kBF16, DType::kI8}) {
    for (const int64_t n : {1, 17, 64, 100, 320}) {
      for (const int64_t rank : {1, 4, 11}) {
        SCOPED_TRACE(testing::Message() << name(type) << " n " << n << " rank " << rank);
        const Packed b(type, rank, n, rank, 3);
        const int64_t rows = 9, stride = rank + 2;
        const std::vector<float> low = random_floats(4, static_cast<size_t>(rows * stride));
        std::vector<float> y = random_floats(5, static_cast<size_t>(rows * n)), expected = y, parts = y;
        kernels().lora_up(y.data(), low.data(), stride, rows, b.factor, 0, n);
        kReferenceKernels.lora_up(expected.data(), low.data(), stride, rows, b.factor, 0, n);
        expect_close(y, expected, 2e-6f);
        for (int64_t t = rows; t-- > 0;) {
          for (int64_t j = 0; j < n; j += kAdapterColumns) {
            kernels().lora_up(parts.data() + t * n, low.data() + t * stride, stride, 1, b.factor, j,
                              std::min(n, j + kAdapterColumns));
          }
        }
        expect_same_bits(parts, y);
      }
    }
  }
}

TEST(AdapterFactorTest, CodesAreWithinHalfAStepOfTheNumbers) {
  const int64_t rank = 3, width = 130;
  const std::vector<float> numbers = random_floats(6, rank * width);
  const Packed packed(DType::kI8, rank, width, rank, 6);
  std::vector<float> got(static_cast<size_t>(rank * width), 0), unit(rank * rank, 0);
  for (int64_t r = 0; r < rank; ++r) unit[static_cast<size_t>(r * rank + r)] = 1;
  kReferenceKernels.lora_up(got.data(), unit.data(), rank, rank, packed.factor, 0, width);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], numbers[i], 5.0f / 127 / 2) << i;
}

}  // namespace
}  // namespace strata
