#include "compute/tensor/quant_blocks.h"

#include <cstring>

#include "base/check.h"
#include "compute/tensor/half.h"

namespace strata {
namespace {

template <class Block>
Block load_block(const void* src) {
  Block block;
  std::memcpy(&block, src, sizeof(block));
  return block;
}

void decode(const BlockQ8_0& block, QuantBlock& out) {
  out.scale[0] = half_to_float(block.d);
  std::memcpy(out.q, block.q, sizeof(block.q));
}

void decode(const BlockQ4_0& block, QuantBlock& out) {
  out.scale[0] = half_to_float(block.d);
  for (int i = 0; i < 16; ++i) {
    out.q[i] = static_cast<int8_t>((block.q[i] & 15) - 8);
    out.q[i + 16] = static_cast<int8_t>((block.q[i] >> 4) - 8);
  }
}

void decode(const BlockQ4_K& block, QuantBlock& out) {
  out.d = half_to_float(block.d);
  out.dmin = half_to_float(block.dmin);
  uint8_t scale[8], min[8];
  decode_scales(block, scale, min);
  for (int j = 0; j < 8; ++j) {
    out.scale[j] = scale[j];
    out.min[j] = min[j];
  }
  for (int chunk = 0; chunk < 4; ++chunk) {
    for (int i = 0; i < 32; ++i) {
      out.q[64 * chunk + i] = block.q[32 * chunk + i] & 15;
      out.q[64 * chunk + 32 + i] = static_cast<int8_t>(block.q[32 * chunk + i] >> 4);
    }
  }
}

void decode(const BlockQ6_K& block, QuantBlock& out) {
  out.d = half_to_float(block.d);
  for (int j = 0; j < 16; ++j) out.scale[j] = block.scales[j];
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, place = i % 128;
    const int low = block.low[64 * half + place % 64] >> (place / 64 * 4) & 15;
    const int high = block.high[32 * half + place % 32] >> (place / 32 * 2) & 3;
    out.q[i] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

void dequantize_blocks(DType type, const void* src, float* dst, int64_t k) {
  const size_t bytes = static_cast<size_t>(traits(type).block_bytes);
  QuantBlock block;
  for (const auto* p = static_cast<const uint8_t*>(src); k > 0; p += bytes, dst += block.elements, k -= block.elements) {
    decode_block(type, p, block);
    dequantize_block(block, type == DType::kQ4_K, dst);
  }
}

}  // namespace

bool has_quant_block(DType type) {
  return type == DType::kQ8_0 || type == DType::kQ4_0 || type == DType::kQ4_K || type == DType::kQ6_K;
}

bool can_convert(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || has_quant_block(type);
}

void decode_scales(const BlockQ4_K& block, uint8_t scale[8], uint8_t min[8]) {
  const uint8_t* s = block.scales;
  for (int j = 0; j < 4; ++j) {
    scale[j] = s[j] & 63;
    min[j] = s[j + 4] & 63;
    // Of the second four the low bits are in bytes 8-11, the high bits on top of the first eight bytes.
    scale[j + 4] = static_cast<uint8_t>((s[j + 8] & 15) | (s[j] >> 6) << 4);
    min[j + 4] = static_cast<uint8_t>(s[j + 8] >> 4 | (s[j + 4] >> 6) << 4);
  }
}

void dequantize_block(const QuantBlock& block, bool has_minima, float* out) {
  for (int i = 0; i < block.elements; ++i) {
    out[i] = (block.d * block.scale[i / block.group]) * static_cast<float>(block.q[i]);
    if (has_minima) out[i] -= block.dmin * static_cast<float>(block.min[i / 32]);
  }
}

void decode_block(DType type, const void* block, QuantBlock& out) {
  out.elements = traits(type).block_elements;
  out.group = type == DType::kQ6_K ? 16 : 32;
  out.d = 1;
  out.dmin = 0;
  std::memset(out.min, 0, sizeof(out.min));
  switch (type) {
    case DType::kQ8_0: return decode(load_block<BlockQ8_0>(block), out);
    case DType::kQ4_0: return decode(load_block<BlockQ4_0>(block), out);
    case DType::kQ4_K: return decode(load_block<BlockQ4_K>(block), out);
    case DType::kQ6_K: return decode(load_block<BlockQ6_K>(block), out);
    default: CHECK(has_quant_block(type));
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
    dequantize_blocks(type, src, dst, k);
  }
}

}  // namespace strata
