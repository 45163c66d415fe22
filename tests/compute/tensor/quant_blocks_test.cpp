#include "compute/tensor/quant_blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "compute/tensor/half.h"

namespace strata {
namespace {

constexpr DType kBlockTypes[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K};

std::vector<uint8_t> from_hex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}
std::vector<float> floats_from_hex(const std::string& text) {
  const std::vector<uint8_t> bytes = from_hex(text);
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

struct GoldenLine {
  std::string what, type, input, output;
};
std::vector<GoldenLine> golden(const std::string& what) {
  std::ifstream file(std::string(STRATA_SOURCE_DIR) + "/tests/data/tensor/quant_blocks_golden.txt");
  std::vector<GoldenLine> lines;
  for (GoldenLine line; file >> line.what >> line.type >> line.input >> line.output;) {
    if (line.what == what) lines.push_back(line);
  }
  return lines;
}

std::vector<float> normal_numbers(size_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, 0.2f);
  std::vector<float> numbers(n);
  for (float& x : numbers) x = normal(generator);
  return numbers;
}

std::vector<float> there_and_back(DType type, const std::vector<float>& x) {
  const int64_t k = static_cast<int64_t>(x.size());
  std::vector<uint8_t> blocks(row_bytes(type, k));
  quantize_row(type, x.data(), blocks.data(), k);
  std::vector<float> y(x.size());
  dequantize_row(type, blocks.data(), y.data(), k);
  return y;
}

double rms_error(const std::vector<float>& x, const std::vector<float>& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (double{x[i]} - y[i]) * (double{x[i]} - y[i]);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

TEST(QuantBlocksTest, DequantizesAsTheGgufPackageDoes) {
  const std::vector<GoldenLine> lines = golden("dequantize");
  ASSERT_EQ(lines.size(), std::size(kBlockTypes));
  for (const GoldenLine& line : lines) {
    SCOPED_TRACE(line.type);
    std::vector<uint8_t> blocks = from_hex(line.input);
    const std::vector<float> expected = floats_from_hex(line.output);
    blocks.insert(blocks.begin(), 0);  // blocks in a file may stand at odd addresses
    std::vector<float> actual(expected.size());
    dequantize_row(*dtype_from_name(line.type), blocks.data() + 1, actual.data(), static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), std::bit_cast<uint32_t>(expected[i])) << "number " << i;
    }
  }
}

TEST(QuantBlocksTest, QuantizesQ8_0AndQ4_0AsTheGgufPackageDoes) {
  const std::vector<GoldenLine> lines = golden("quantize");
  ASSERT_EQ(lines.size(), 2u);
  for (const GoldenLine& line : lines) {
    const std::vector<float> x = floats_from_hex(line.input);
    const std::vector<uint8_t> expected = from_hex(line.output);
    std::vector<uint8_t> actual(expected.size());
    quantize_row(*dtype_from_name(line.type), x.data(), actual.data(), static_cast<int64_t>(x.size()));
    EXPECT_EQ(actual, expected) << line.type;
  }
}

TEST(QuantBlocksTest, ErrsNoMoreThanGgml) {
  const std::vector<GoldenLine> lines = golden("error");
  ASSERT_EQ(lines.size(), std::size(kBlockTypes));
  for (const GoldenLine& line : lines) {
    const std::vector<float> x = floats_from_hex(line.input);
    const double error = rms_error(x, there_and_back(*dtype_from_name(line.type), x)), ggml = std::stod(line.output);
    RecordProperty(line.type, std::to_string(error / ggml));
    EXPECT_LE(error, 1.01 * ggml) << line.type;
    EXPECT_GE(error, 0.5 * ggml) << line.type << ": too good to be true";
  }
}

TEST(QuantBlocksTest, WhatABlockCanSayComesBackUnchanged) {
  for (DType type : kBlockTypes) {
    // Levels times one power of two: every type holds them exactly.
    std::vector<float> x(512);
    for (size_t i = 0; i < x.size(); ++i) x[i] = 0.25f * static_cast<float>(i * 7 % 16) - (type == DType::kQ4_K ? 0.0f : 2.0f);
    const std::vector<float> y = there_and_back(type, x);
    const float tolerance = type == DType::kQ4_0 ? 0 : 0.02f;
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], x[i], tolerance) << name(type) << " " << i;
  }
}

TEST(QuantBlocksTest, ZeroStaysZero) {
  for (DType type : kBlockTypes) {
    for (float y : there_and_back(type, std::vector<float>(256, 0.0f))) ASSERT_EQ(y, 0.0f) << name(type);
  }
}

TEST(QuantBlocksTest, WhatIsNotFiniteBecomesFinite) {
  for (DType type : kBlockTypes) {
    std::vector<float> x = normal_numbers(512, 3);
    x[1] = INFINITY;
    x[40] = -INFINITY;
    x[70] = NAN;
    x[100] = 3e38f;
    for (size_t i = 256; i < 512; ++i) x[i] *= 1e-40f;
    for (float y : there_and_back(type, x)) ASSERT_TRUE(std::isfinite(y)) << name(type);
  }
}

TEST(QuantBlocksTest, ABlockInWholeNumbersIsTheRow) {
  for (DType type : kBlockTypes) {
    const std::vector<float> x = normal_numbers(256, 5);
    std::vector<uint8_t> row(row_bytes(type, 256));
    quantize_row(type, x.data(), row.data(), 256);
    std::vector<float> expected(256);
    dequantize_row(type, row.data(), expected.data(), 256);
    QuantBlock block;
    const size_t bytes = static_cast<size_t>(traits(type).block_bytes);
    for (size_t b = 0; b * bytes < row.size(); ++b) {
      decode_block(type, row.data() + b * bytes, block);
      ASSERT_EQ(block.elements, traits(type).block_elements);
      for (int i = 0; i < block.elements; ++i) {
        const float min = block.dmin == 0 ? 0 : block.dmin * static_cast<float>(block.min[i / 32]);
        const float value = block.d * block.scale[i / block.group] * static_cast<float>(block.q[i]) - min;
        ASSERT_EQ(value, expected[b * static_cast<size_t>(block.elements) + static_cast<size_t>(i)]) << name(type);
      }
    }
  }
}

TEST(QuantBlocksTest, PlainTypesRoundToNearest) {
  const std::vector<float> x = {1.0f, -0.1f, 3.14159265f, 65519.0f, 1e-7f, 0.0f};
  EXPECT_EQ(there_and_back(DType::kF32, x), x);
  const std::vector<float> half = there_and_back(DType::kF16, x), bf16 = there_and_back(DType::kBF16, x);
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(half[i], half_to_float(float_to_half(x[i])));
    EXPECT_NEAR(bf16[i], x[i], std::fabs(x[i]) / 256);
  }
}

TEST(QuantBlocksTest, KnowsWhatItCanConvert) {
  for (DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K}) {
    EXPECT_TRUE(can_convert(type));
    EXPECT_EQ(has_quant_block(type), is_quantized(type));
  }
  EXPECT_FALSE(can_convert(DType::kI32));
  EXPECT_FALSE(can_convert(DType::kActQ8));
}

}  // namespace
}  // namespace strata
