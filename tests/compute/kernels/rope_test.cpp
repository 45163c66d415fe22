#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

class RopeTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(RopeTest);

std::vector<float> frequencies(int rotary_dim, double base) {
  std::vector<float> inv_freq(rotary_dim / 2);
  for (int i = 0; i < rotary_dim / 2; ++i) inv_freq[i] = static_cast<float>(std::pow(base, -2.0 * i / rotary_dim));
  return inv_freq;
}

struct RopeCase {
  int n_heads, head_dim, rotary_dim, rotary_offset;
  bool interleaved;
  float magnitude;
};
constexpr RopeCase kCases[] = {
    {4, 64, 64, 0, false, 1.0f}, {4, 64, 64, 0, true, 1.0f},   {3, 20, 12, 8, false, 1.2f}, {3, 20, 12, 8, true, 0.8f},
    {1, 128, 96, 0, false, 1.0f}, {2, 192, 64, 128, true, 1.0f}, {5, 2, 2, 0, true, 1.0f},
};

RopeArgs args_of(const RopeCase& c, const std::vector<float>& inv_freq, const std::vector<int32_t>& positions) {
  RopeArgs args;
  args.row_stride = c.n_heads * c.head_dim + 5;
  args.positions = positions.data();
  args.n_heads = c.n_heads;
  args.head_dim = c.head_dim;
  args.rotary_dim = c.rotary_dim;
  args.rotary_offset = c.rotary_offset;
  args.interleaved = c.interleaved;
  args.inv_freq = inv_freq.data();
  args.magnitude = c.magnitude;
  return args;
}

TEST_P(RopeTest, IsNearTheReferenceUpToAMillionPositions) {
  const std::vector<int32_t> positions = {0, 1, 77, 4095, 131071, 1000000};
  for (const RopeCase& c : kCases) {
    SCOPED_TRACE(c.rotary_dim);
    const std::vector<float> inv_freq = frequencies(c.rotary_dim, 10000.0);
    RopeArgs args = args_of(c, inv_freq, positions);
    const std::vector<float> x = random_floats(50, args.row_stride * positions.size());
    for (bool inverse : {false, true}) {
      args.inverse = inverse;
      std::vector<float> fast = x, slow = x, alone = x;
      args.x = fast.data();
      kernels().rope(args, 0, positions.size());
      args.x = slow.data();
      kReferenceKernels.rope(args, 0, positions.size());
      expect_close(fast, slow, 2e-7f);
      args.x = alone.data();
      for (int64_t row = positions.size(); row-- > 0;) kernels().rope(args, row, row + 1);
      expect_same_bits(alone, fast);
    }
  }
}

TEST_P(RopeTest, MarkedRowsUseTheLongFrequencies) {
  const std::vector<int32_t> positions = {3, 99, 99, 1000}, marks = {0, 1, 0, 1};
  const RopeCase c = {2, 40, 40, 0, false, 1.1f};
  const std::vector<float> short_ones = frequencies(40, 10000.0), long_ones = frequencies(40, 77000.0);
  RopeArgs args = args_of(c, short_ones, positions);
  const std::vector<float> x = random_floats(52, args.row_stride * positions.size());
  std::vector<float> mixed = x, expected = x;
  args.x = expected.data();
  for (int64_t row = 0; row < 4; ++row) {
    args.inv_freq = marks[row] != 0 ? long_ones.data() : short_ones.data();
    kernels().rope(args, row, row + 1);
  }
  args.inv_freq = short_ones.data();
  args.long_inv_freq = long_ones.data();
  args.long_rows = marks.data();
  args.x = mixed.data();
  kernels().rope(args, 0, 4);
  expect_same_bits(mixed, expected);
  std::vector<float> slow = x;
  args.x = slow.data();
  kReferenceKernels.rope(args, 0, 4);
  expect_close(mixed, slow, 2e-7f);
}

TEST_P(RopeTest, InverseUndoesIt) {
  const std::vector<int32_t> positions = {3, 999};
  const RopeCase c = {2, 64, 64, 0, false, 1.0f};
  const std::vector<float> inv_freq = frequencies(64, 500000.0);
  RopeArgs args = args_of(c, inv_freq, positions);
  const std::vector<float> x = random_floats(51, args.row_stride * positions.size());
  std::vector<float> y = x;
  args.x = y.data();
  kernels().rope(args, 0, 2);
  EXPECT_NE(y, x);
  args.inverse = true;
  kernels().rope(args, 0, 2);
  expect_close(y, x, 3e-7f);
}

}  // namespace
}  // namespace strata
