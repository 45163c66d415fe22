#include "compute/tensor/quant_blocks.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "compute/tensor/block_codes.h"
#include "compute/tensor/half.h"

namespace strata {
namespace {

constexpr DType kBlockTypes[] = {DType::kQ8_0,   DType::kQ4_0,   DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
                                 DType::kQ2_K,   DType::kQ3_K,   DType::kQ4_K, DType::kQ5_K, DType::kQ6_K,
                                 DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4};

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

std::vector<float> there_and_back(DType type, const std::vector<float>& x, const float* importance = nullptr) {
  const int64_t k = static_cast<int64_t>(x.size());
  std::vector<uint8_t> blocks(row_bytes(type, k));
  quantize_row(type, x.data(), blocks.data(), k, importance);
  std::vector<float> y(x.size());
  dequantize_row(type, blocks.data(), y.data(), k);
  return y;
}

double rms_error(const std::vector<float>& x, const std::vector<float>& y, const std::vector<float>& weight) {
  double sum = 0, weights = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    sum += weight[i] * (double{x[i]} - y[i]) * (double{x[i]} - y[i]);
    weights += weight[i];
  }
  return std::sqrt(sum / weights);
}

TEST(QuantBlocksTest, DequantizesAsGgmlDoes) {
  const std::vector<GoldenLine> lines = golden("dequantize");
  ASSERT_EQ(lines.size(), std::size(kBlockTypes));
  for (const GoldenLine& line : lines) {
    SCOPED_TRACE(line.type);
    std::vector<uint8_t> blocks = from_hex(line.input);
    const std::vector<float> expected = floats_from_hex(line.output);
    blocks.insert(blocks.begin(), 0);  // blocks in a file may stand at odd addresses
    std::vector<float> actual(expected.size());
    dequantize_row(*dtype_from_name(line.type), blocks.data() + 1, actual.data(),
                   static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), std::bit_cast<uint32_t>(expected[i])) << "number " << i;
    }
  }
}

TEST(QuantBlocksTest, PlainBlocksAreQuantizedAsEverywhere) {
  const std::vector<GoldenLine> lines = golden("quantize");
  ASSERT_EQ(lines.size(), 5u);
  const std::vector<float> source = floats_from_hex(golden("source").at(0).input);
  for (const GoldenLine& line : lines) {
    const std::vector<uint8_t> expected = from_hex(line.output);
    std::vector<uint8_t> actual(expected.size());
    quantize_row(*dtype_from_name(line.type), source.data(), actual.data(), std::stoll(line.input));
    EXPECT_EQ(actual, expected) << line.type;
  }
}

TEST(QuantBlocksTest, ErrsNoMoreThanGgml) {
  const std::vector<float> x = floats_from_hex(golden("source").at(0).input);
  std::vector<float> equal(x.size(), 1.0f), importance(x.size());
  for (size_t i = 0; i < x.size(); ++i) importance[i] = static_cast<float>((1 + i % 7) * (1 + i % 7));
  for (const char* what : {"error", "weighted"}) {
    const bool weighted = std::string(what) == "weighted";
    const std::vector<GoldenLine> lines = golden(what);
    ASSERT_EQ(lines.size(), std::size(kBlockTypes));
    for (const GoldenLine& line : lines) {
      const std::vector<float> y =
          there_and_back(*dtype_from_name(line.type), x, weighted ? importance.data() : nullptr);
      const double error = rms_error(x, y, weighted ? importance : equal), ggml = std::stod(line.output);
      RecordProperty(line.type + "_" + what, std::to_string(error / ggml));
      EXPECT_LE(error, 1.01 * ggml) << line.type << " " << what;
      EXPECT_GE(error, 0.5 * ggml) << line.type << " " << what << ": too good to be true";
    }
  }
}

TEST(QuantBlocksTest, ImportanceMovesTheErrorToTheOtherColumns) {
  const std::vector<float> x = normal_numbers(4096, 9);
  std::vector<float> importance(x.size());
  for (size_t i = 0; i < x.size(); ++i) importance[i] = i % 4 == 0 ? 100.0f : 1.0f;
  for (DType type : kBlockTypes) {
    const double with = rms_error(x, there_and_back(type, x, importance.data()), importance);
    const double without = rms_error(x, there_and_back(type, x), importance);
    if (type == DType::kQ8_0) {
      EXPECT_EQ(with, without);
    } else {
      EXPECT_LT(with, 0.995 * without) << name(type);
    }
  }
  // Columns of which nothing is known are all the same.
  const std::vector<float> nothing(x.size(), 0.0f), same(x.size(), 1.0f);
  for (DType type : kBlockTypes) {
    EXPECT_EQ(there_and_back(type, x, nothing.data()), there_and_back(type, x, same.data())) << name(type);
  }
}

// What a block says is its own best approximation: bits come back, or others that stand for the same numbers.
TEST(QuantBlocksTest, WhatABlockCanSayComesBackUnchanged) {
  for (DType type : kBlockTypes) {
    // Levels times one power of two, with their extremes in every group: every type holds them exactly.
    std::vector<float> x(512);
    for (size_t i = 0; i < x.size(); ++i) {
      const int step = static_cast<int>(i * 7 % 16);
      if (type == DType::kIQ4_NL || type == DType::kIQ4_XS) {
        x[i] = 0.25f * kIQ4Values[step];
      } else if (type == DType::kMXFP4) {
        x[i] = 0.25f * kFP4Values[step];
      } else if (type == DType::kQ2_K) {
        x[i] = 0.25f * static_cast<float>(step % 4);
      } else if (type == DType::kQ3_K) {
        x[i] = 0.25f * static_cast<float>(step % 8 - 4);
      } else if (type == DType::kQ5_1) {
        x[i] = 0.25f * static_cast<float>(i * 7 % 32);
      } else {
        x[i] = 0.25f * static_cast<float>(step) - (minima_of(type) == Minima::kNone ? 2.0f : 0.0f);
      }
    }
    const std::vector<float> y = there_and_back(type, x);
    // The fp16 factor is 1 / 63 of the step, or the like.
    const bool whole_scales = traits(type).block_elements == 256 || type == DType::kQ8_0;
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(y[i], x[i], whole_scales ? 0.02f : 0.0f) << name(type) << " " << i;
    }
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
    const std::vector<float> importance(512, 3e38f);
    for (float y : there_and_back(type, x)) ASSERT_TRUE(std::isfinite(y)) << name(type);
    for (float y : there_and_back(type, x, importance.data())) ASSERT_TRUE(std::isfinite(y)) << name(type);
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
      ASSERT_EQ(block.group, scale_group(type));
      ASSERT_EQ(block.dmin != 0, minima_of(type) != Minima::kNone);
      for (int i = 0; i < block.elements; ++i) {
        const float scaled = block.d * block.scale[i / block.group] * static_cast<float>(block.q[i]);
        const float value = scaled - block.dmin * block.min[i / block.group];
        ASSERT_EQ(value, expected[b * static_cast<size_t>(block.elements) + static_cast<size_t>(i)]) << name(type);
      }
    }
  }
}

// Files may hold any bytes: every one of them is a block.
TEST(QuantBlocksTest, AnyBytesAreABlock) {
  std::mt19937 generator(21);
  std::vector<float> y(256);
  for (DType type : kBlockTypes) {
    std::vector<uint8_t> row(row_bytes(type, 256));
    for (int t = 0; t < 200; ++t) {
      for (uint8_t& byte : row) byte = static_cast<uint8_t>(t < 2 ? t * 255 : generator());
      y.assign(256, -1.5e38f);
      dequantize_row(type, row.data(), y.data(), 256);
      for (float number : y) ASSERT_NE(number, -1.5e38f) << name(type);
    }
  }
}

// Codes and scales that are written are the ones that are read.
template <class Block>
void expect_codes_come_back() {
  std::mt19937 generator(4);
  Block block;
  auto* bytes = reinterpret_cast<uint8_t*>(&block);
  for (size_t i = 0; i < sizeof(Block); ++i) bytes[i] = static_cast<uint8_t>(generator());
  const Block original = block;
  uint8_t code[256];
  read_codes(original, code);
  std::memset(bytes, 0, sizeof(Block));
  write_codes(block, code);
  if constexpr (requires(GroupScales& s) { read_scales(original, s); }) {
    GroupScales scales;
    read_scales(original, scales);
    write_scales(block, scales);
  }
  if constexpr (requires { block.d; }) block.d = original.d;
  if constexpr (requires { block.dmin; }) block.dmin = original.dmin;
  if constexpr (requires { block.m; }) block.m = original.m;
  if constexpr (requires { block.e; }) block.e = original.e;
  EXPECT_EQ(std::memcmp(&block, &original, sizeof(Block)), 0) << name(Block::kType);
}
TEST(BlockCodesTest, WhatIsReadCanBeWritten) {
  expect_codes_come_back<BlockQ4_0>();
  expect_codes_come_back<BlockQ4_1>();
  expect_codes_come_back<BlockQ5_0>();
  expect_codes_come_back<BlockQ5_1>();
  expect_codes_come_back<BlockQ2_K>();
  expect_codes_come_back<BlockQ3_K>();
  expect_codes_come_back<BlockQ4_K>();
  expect_codes_come_back<BlockQ5_K>();
  expect_codes_come_back<BlockQ6_K>();
  expect_codes_come_back<BlockIQ4_NL>();
  expect_codes_come_back<BlockIQ4_XS>();
  expect_codes_come_back<BlockMXFP4>();
}

TEST(QuantBlocksTest, BlocksOfPackedSafetensors) {
  const float d = 0.1f;
  uint8_t int4[21], int8[36], fp8[36];
  for (uint8_t* block : {int4, int8, fp8}) std::memcpy(block, &d, sizeof(d));
  int4[4] = 16;
  for (int i = 0; i < 16; ++i) int4[5 + i] = static_cast<uint8_t>(i | (15 - i) << 4);
  for (int i = 0; i < 32; ++i) int8[4 + i] = static_cast<uint8_t>(i * 8 - 128);
  for (int i = 0; i < 32; ++i) fp8[4 + i] = static_cast<uint8_t>(i * 8 + 1);
  float out[32];
  dequantize_row(DType::kInt4, int4, out, 32);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(out[i], d * static_cast<float>((i < 16 ? i : 31 - i) - 16));
  dequantize_row(DType::kInt8, int8, out, 32);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(out[i], d * static_cast<float>(i * 8 - 128));
  dequantize_row(DType::kFP8, fp8, out, 32);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(out[i], d * e4m3_to_float(static_cast<uint8_t>(i * 8 + 1)));
}

TEST(QuantBlocksTest, E4M3) {
  for (int byte = 0; byte < 256; ++byte) {
    const int exponent = byte >> 3 & 15, mantissa = byte & 7;
    const float size = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                     : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    const float value = e4m3_to_float(static_cast<uint8_t>(byte));
    EXPECT_EQ(std::signbit(value), byte >= 128);
    if ((byte & 127) == 127) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      EXPECT_EQ(std::fabs(value), size) << byte;
    }
  }
  EXPECT_EQ(e4m3_to_float(0x7e), 448.0f);
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
  for (DType type : {DType::kF32, DType::kF16, DType::kBF16}) EXPECT_TRUE(can_convert(type));
  for (DType type : kBlockTypes) EXPECT_TRUE(can_convert(type) && is_quantized(type));
  EXPECT_FALSE(can_convert(DType::kI32));
  EXPECT_FALSE(can_convert(DType::kActQ8));
}

}  // namespace
}  // namespace strata
