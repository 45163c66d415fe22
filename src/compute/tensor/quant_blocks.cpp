#include "compute/tensor/quant_blocks.h"

#include <cstring>

#include "base/check.h"
#include "compute/tensor/block_codes.h"
#include "compute/tensor/half.h"

namespace strata {
namespace {

template <class Block>
constexpr bool is_of_256() {
  return requires(const Block& block, GroupScales& scales) { read_scales(block, scales); };
}

template <class Block>
void decode(const void* src, QuantBlock& out) {
  const Block block = load_block<Block>(src);
  if constexpr (Block::kType == DType::kQ8_0) {
    std::memcpy(out.q, block.q, sizeof(block.q));
  } else {
    uint8_t code[is_of_256<Block>() ? 256 : 32];
    read_codes(block, code);
    for (size_t i = 0; i < sizeof(code); ++i) out.q[i] = code_value(Block::kType, code[i]);
  }
  if constexpr (is_of_256<Block>()) {
    GroupScales groups;
    read_scales(block, groups);
    out.d = half_to_float(block.d);
    for (int j = 0; j < 256 / scale_group(Block::kType); ++j) out.scale[j] = groups.scale[j];
    if constexpr (minima_of(Block::kType) == Minima::kWhole) {
      out.dmin = half_to_float(block.dmin);
      for (int j = 0; j < 256 / scale_group(Block::kType); ++j) out.min[j] = groups.min[j];
    }
  } else if constexpr (Block::kType == DType::kMXFP4) {
    out.scale[0] = half_of_e8m0(block.e);
  } else {
    out.scale[0] = half_to_float(block.d);
  }
  if constexpr (minima_of(Block::kType) == Minima::kPlain) {
    out.dmin = -1;
    out.min[0] = half_to_float(block.m);
  }
}

void decode_int4(const void* src, QuantBlock& out) {
  const auto block = load_block<BlockInt4>(src);
  uint8_t code[32];
  read_codes(block, code);
  for (int i = 0; i < 32; ++i) out.q[i] = static_cast<int8_t>(code[i] - block.zero);
  out.scale[0] = block_factor(block);
}

void decode_int8(const void* src, QuantBlock& out) {
  const auto block = load_block<BlockInt8>(src);
  std::memcpy(out.q, block.q, sizeof(block.q));
  out.scale[0] = block_factor(block);
}

void dequantize_fp8(const void* src, float* dst, int64_t k) {
  for (const auto* p = static_cast<const uint8_t*>(src); k > 0; p += sizeof(BlockFP8), dst += 32, k -= 32) {
    const auto block = load_block<BlockFP8>(p);
    for (int i = 0; i < 32; ++i) dst[i] = block_factor(block) * e4m3_to_float(block.q[i]);
  }
}

void dequantize_blocks(DType type, const void* src, float* dst, int64_t k) {
  const size_t bytes = static_cast<size_t>(traits(type).block_bytes);
  QuantBlock block;
  for (const auto* p = static_cast<const uint8_t*>(src); k > 0;
       p += bytes, dst += block.elements, k -= block.elements) {
    decode_block(type, p, block);
    dequantize_block(block, minima_of(type), dst);
  }
}

}  // namespace

bool can_convert(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || is_quantized(type);
}

void dequantize_block(const QuantBlock& block, Minima minima, float* out) {
  for (int i = 0; i < block.elements; ++i) {
    out[i] = (block.d * block.scale[i / block.group]) * static_cast<float>(block.q[i]);
    if (minima != Minima::kNone) out[i] -= block.dmin * block.min[i / block.group];
  }
}

void decode_block(DType type, const void* block, QuantBlock& out) {
  out.elements = traits(type).block_elements;
  out.group = scale_group(type);
  out.d = 1;
  out.dmin = 0;
  std::memset(out.min, 0, sizeof(out.min));
  switch (type) {
    case DType::kQ8_0:
      return decode<BlockQ8_0>(block, out);
    case DType::kQ4_0:
      return decode<BlockQ4_0>(block, out);
    case DType::kQ4_1:
      return decode<BlockQ4_1>(block, out);
    case DType::kQ5_0:
      return decode<BlockQ5_0>(block, out);
    case DType::kQ5_1:
      return decode<BlockQ5_1>(block, out);
    case DType::kQ2_K:
      return decode<BlockQ2_K>(block, out);
    case DType::kQ3_K:
      return decode<BlockQ3_K>(block, out);
    case DType::kQ4_K:
      return decode<BlockQ4_K>(block, out);
    case DType::kQ5_K:
      return decode<BlockQ5_K>(block, out);
    case DType::kQ6_K:
      return decode<BlockQ6_K>(block, out);
    case DType::kIQ4_NL:
      return decode<BlockIQ4_NL>(block, out);
    case DType::kIQ4_XS:
      return decode<BlockIQ4_XS>(block, out);
    case DType::kMXFP4:
      return decode<BlockMXFP4>(block, out);
    case DType::kInt4:
      return decode_int4(block, out);
    case DType::kInt8:
      return decode_int8(block, out);
    default:
      CHECK(has_whole_numbers(type));
  }
}

void dequantize_row(DType type, const void* src, float* dst, int64_t k) {
  if (type == DType::kF32) {
    std::memcpy(dst, src, static_cast<size_t>(k) * sizeof(float));
  } else if (type == DType::kF16 || type == DType::kBF16) {
    for (int64_t i = 0; i < k; ++i) {
      uint16_t bits;
      std::memcpy(&bits, static_cast<const uint8_t*>(src) + 2 * i, 2);
      dst[i] = type == DType::kF16 ? half_to_float(bits) : bfloat16_to_float(bits);
    }
  } else {
    CHECK_EQ(k % traits(type).block_elements, 0);
    if (type == DType::kFP8) return dequantize_fp8(src, dst, k);
    dequantize_blocks(type, src, dst, k);
  }
}

}  // namespace strata
