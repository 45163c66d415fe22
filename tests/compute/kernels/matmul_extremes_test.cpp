// Quantized weights at the largest numbers that their bits can hold times activations at theirs: sums in int16 and
// int32 must not overflow or saturate. Equal ids give equal bits; the reference sums in int32 one product after the
// other.
#include <cstring>

#include "compute/tensor/quant_blocks.h"
#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

// The bytes of a block that are whole numbers of any value; the others are factors in floating point.
struct Block {
  DType type;
  size_t begin, end;
};
constexpr Block kBlocks[] = {{DType::kQ8_0, 2, 34},   {DType::kQ4_0, 2, 18},   {DType::kQ4_1, 4, 20},
                             {DType::kQ5_0, 2, 22},   {DType::kQ5_1, 4, 24},   {DType::kQ2_K, 0, 80},
                             {DType::kQ3_K, 0, 108},  {DType::kQ4_K, 4, 144},  {DType::kQ5_K, 4, 176},
                             {DType::kQ6_K, 0, 208},  {DType::kIQ4_NL, 2, 18}, {DType::kMXFP4, 1, 17},
                             {DType::kIQ4_XS, 2, 136}};

constexpr int64_t kN = 40, kRows = 14;

// Every row another pattern of bytes, and two of random ones.
std::vector<uint8_t> extreme_weights(const Block& block, int64_t k) {
  constexpr uint8_t kPatterns[] = {0x00, 0xff, 0x80, 0x7f, 0x08, 0x88, 0x77, 0xf0, 0x0f, 0x55, 0xaa, 0x33, 0xcc};
  constexpr size_t kCount = std::size(kPatterns);
  const size_t bytes = row_bytes(block.type, k), block_bytes = static_cast<size_t>(traits(block.type).block_bytes);
  const std::vector<float> numbers = random_floats(5, static_cast<size_t>(k));
  std::vector<uint8_t> file(kN * bytes);
  std::mt19937 random(3);
  for (size_t j = 0; j < kN; ++j) {
    uint8_t* row = file.data() + j * bytes;
    quantize_row(block.type, numbers.data(), row, k);
    for (size_t i = 0; i < bytes; ++i) {
      const bool whole = i % block_bytes >= block.begin && i % block_bytes < block.end;
      const size_t pattern = j % (kCount + 2);
      if (whole) row[i] = pattern < kCount ? kPatterns[pattern] : static_cast<uint8_t>(random());
    }
  }
  return file;
}

// Rows of 1, of -1, of both in turn, and random ones.
std::vector<float> extreme_activations(int64_t k) {
  std::vector<float> x = random_floats(6, static_cast<size_t>(kRows * k));
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t c = 0; c < k; ++c) {
      const float sign = i % 3 == 0 || (i % 3 == 1 && c % 2 == 0) ? 1.0f : -1.0f;
      x[static_cast<size_t>(i * k + c)] = sign;
    }
  }
  return x;
}

std::vector<float> multiply(const CpuKernels& kernels, const Block& block, int64_t k, int64_t rows) {
  const MatmulFamily& family = *matmul_family(kernels, block.type, k);
  const std::vector<uint8_t> file = extreme_weights(block, k);
  const std::vector<float> x = extreme_activations(k);
  std::vector<const void*> sources;
  for (size_t j = 0; j < kN; ++j) sources.push_back(file.data() + j * row_bytes(block.type, k));
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> packed(family.packed_bytes(kN, k) / sizeof(Line));
  family.pack(packed.data(), sources.data(), kN, k, 0, kN);
  std::vector<Line> activation(static_cast<size_t>(kRows) * row_bytes(family.activation, k) / sizeof(Line) + 1);
  kernels.to_activation(family.activation, activation.data(), x.data(), kRows, k);
  std::vector<float> y(static_cast<size_t>(rows * kN));
  const MatmulArgs args = {activation.data(), y.data(), kN, packed.data(), rows, kN, k, nullptr, nullptr};
  family.run(args, 0, family.tiles(args));
  return y;
}

class MatmulExtremesTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(MatmulExtremesTest);

TEST_P(MatmulExtremesTest, NothingOverflows) {
  for (const Block& block : kBlocks) {
    for (int64_t k : {96, 512}) {
      if (k % traits(block.type).block_elements != 0) continue;
      for (int64_t rows : {int64_t{1}, int64_t{3}, int64_t{4}, kRows}) {
        SCOPED_TRACE(std::string(name(block.type)) + " k " + std::to_string(k) + " rows " + std::to_string(rows));
        const std::vector<float> actual = multiply(kernels(), block, k, rows);
        const std::vector<float> expected = multiply(kReferenceKernels, block, k, rows);
        const bool same = matmul_family(kernels(), block.type, k)->arithmetic ==
                          matmul_family(kReferenceKernels, block.type, k)->arithmetic;
        same ? expect_same_bits(actual, expected) : expect_close(actual, expected, 1e-5f);
      }
    }
  }
}

}  // namespace
}  // namespace strata
