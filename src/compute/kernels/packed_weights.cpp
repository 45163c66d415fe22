#include "compute/kernels/packed_weights.h"

#include <algorithm>
#include <cstring>

#include "compute/tensor/half.h"

namespace strata {
namespace {

constexpr uint32_t kLowNibbles = 0x0f0f0f0f;
constexpr uint32_t kLowPairs = 0x03030303;

template <class T>
T load(const void* src) {
  T value;
  std::memcpy(&value, src, sizeof(value));
  return value;
}

// Four numbers of a lane.
uint32_t word(const uint8_t* vector, int lane) { return load<uint32_t>(vector + 4 * lane); }
void set_word(uint8_t* vector, int lane, uint32_t value) { std::memcpy(vector + 4 * lane, &value, 4); }

// pack_lane: src points at the source row's first number of the struct; `left` numbers of the row are left.

template <class Packed>
requires(Packed::kSpan <= 2)
void pack_lane(Packed& packed, int lane, const uint8_t* src, int64_t left) {
  const size_t number = sizeof(Packed) / kGroupRows / Packed::kSpan;
  std::memcpy(&packed.w[lane], src, number * static_cast<size_t>(std::min<int64_t>(Packed::kSpan, left)));
}

template <int kBlocks>
void pack_lane(PackedQ8_0<kBlocks>& packed, int lane, const uint8_t* src, int64_t) {
  for (int b = 0; b < kBlocks; ++b) {
    const auto block = load<BlockQ8_0>(src + b * static_cast<int>(sizeof(BlockQ8_0)));
    packed.d[b][lane] = block.d;
    for (int v = 0; v < 8; ++v) std::memcpy(packed.q[b][v] + 4 * lane, block.q + 4 * v, 4);
  }
}

template <int kBlocks>
void pack_lane(PackedQ4_0<kBlocks>& packed, int lane, const uint8_t* src, int64_t) {
  for (int b = 0; b < kBlocks; ++b) {
    const auto block = load<BlockQ4_0>(src + b * static_cast<int>(sizeof(BlockQ4_0)));
    packed.d[b][lane] = block.d;
    for (int v = 0; v < 4; ++v) set_word(packed.q[b][v], lane, word(block.q, v));  // the same pairs of nibbles
  }
}

void pack_lane(PackedQ4_K& packed, int lane, const uint8_t* src, int64_t) {
  const auto block = load<BlockQ4_K>(src);
  packed.d[lane] = block.d;
  packed.dmin[lane] = block.dmin;
  uint8_t scale[8], min[8];
  decode_scales(block, scale, min);
  for (int b = 0; b < 8; ++b) {
    packed.scale[b][lane] = scale[b];
    packed.min[b / 2][lane][b % 2] = min[b];
    for (int v = 0; v < 4; ++v) {
      const uint32_t first = word(block.q + b / 2 * 32, v) >> (b % 2 * 4) & kLowNibbles;
      const uint32_t second = word(block.q + b / 2 * 32, v + 4) >> (b % 2 * 4) & kLowNibbles;
      set_word(packed.q[b][v], lane, first | second << 4);
    }
  }
}

void pack_lane(PackedQ6_K& packed, int lane, const uint8_t* src, int64_t) {
  const auto block = load<BlockQ6_K>(src);
  packed.d[lane] = block.d;
  for (int j = 0; j < 16; ++j) packed.scale[j][lane] = block.scales[j];
  for (int b = 0; b < 8; ++b) {  // b is a block of 32; four make one of the halves that BlockQ6_K is built of
    const uint8_t* low = block.low + b / 4 * 64 + b % 2 * 32;
    const int shift = b % 4 / 2 * 4;
    for (int v = 0; v < 4; ++v) {
      const uint32_t first = word(low, v) >> shift & kLowNibbles, second = word(low, v + 4) >> shift & kLowNibbles;
      set_word(packed.low[b][v], lane, first | second << 4);
    }
  }
  for (int c = 0; c < 4; ++c) {  // c is a chunk of 64 numbers
    for (int v = 0; v < 4; ++v) {
      uint32_t bits = 0;
      for (int j = 0; j < 4; ++j) {
        const uint8_t* high = block.high + c / 2 * 32 + j % 2 * 16;
        bits |= (word(high, v) >> (c % 2 * 4 + j / 2 * 2) & kLowPairs) << 2 * j;
      }
      set_word(packed.high[c][v], lane, bits);
    }
  }
}

// Number k of the span that the struct holds.
template <class Packed>
float float_weight(const Packed& packed, int lane, int64_t k) {
  if constexpr (Packed::kWeight == DType::kF32) {
    return packed.w[lane];
  } else if constexpr (Packed::kWeight == DType::kF16) {
    return half_to_float(packed.w[lane]);
  } else {
    return bfloat16_to_float(packed.w[lane][k]);
  }
}

// Eight words of four bytes, each byte minus `offset`, as numbers 0 - 31 of q.
void store_words(const uint32_t words[8], int offset, int8_t* q) {
  for (int v = 0; v < 8; ++v) {
    for (int i = 0; i < 4; ++i) q[4 * v + i] = static_cast<int8_t>(static_cast<int>(words[v] >> 8 * i & 0xff) - offset);
  }
}

void nibble_words(const uint8_t vectors[4][64], int lane, uint32_t words[8]) {
  for (int v = 0; v < 4; ++v) {
    words[v] = word(vectors[v], lane) & kLowNibbles;
    words[v + 4] = word(vectors[v], lane) >> 4 & kLowNibbles;
  }
}

template <int kBlocks>
void decode(const PackedQ8_0<kBlocks>& packed, int lane, QuantBlock& out) {
  for (int b = 0; b < kBlocks; ++b) {
    out.scale[b] = half_to_float(packed.d[b][lane]);
    for (int v = 0; v < 8; ++v) std::memcpy(out.q + 32 * b + 4 * v, packed.q[b][v] + 4 * lane, 4);
  }
}

template <int kBlocks>
void decode(const PackedQ4_0<kBlocks>& packed, int lane, QuantBlock& out) {
  uint32_t words[8];
  for (int b = 0; b < kBlocks; ++b) {
    out.scale[b] = half_to_float(packed.d[b][lane]);
    nibble_words(packed.q[b], lane, words);
    store_words(words, 8, out.q + 32 * b);
  }
}

void decode(const PackedQ4_K& packed, int lane, QuantBlock& out) {
  out.d = half_to_float(packed.d[lane]);
  out.dmin = half_to_float(packed.dmin[lane]);
  uint32_t words[8];
  for (int b = 0; b < 8; ++b) {
    out.scale[b] = packed.scale[b][lane];
    out.min[b] = packed.min[b / 2][lane][b % 2];
    nibble_words(packed.q[b], lane, words);
    store_words(words, 0, out.q + 32 * b);
  }
}

void decode(const PackedQ6_K& packed, int lane, QuantBlock& out) {
  out.group = 16;
  out.d = half_to_float(packed.d[lane]);
  for (int j = 0; j < 16; ++j) out.scale[j] = packed.scale[j][lane];
  uint32_t words[8];
  for (int b = 0; b < 8; ++b) {
    nibble_words(packed.low[b], lane, words);
    for (int v = 0; v < 8; ++v) {
      const uint32_t high = word(packed.high[b / 2][v % 4], lane) >> (b % 2 * 4 + v / 4 * 2) & kLowPairs;
      words[v] |= high << 4;
    }
    store_words(words, 32, out.q + 32 * b);
  }
}

}  // namespace

template <class Packed>
size_t packed_weight_bytes(int64_t n, int64_t k) {
  const int64_t groups = (n + kGroupRows - 1) / kGroupRows;
  return (static_cast<size_t>(groups * group_structs<Packed>(k)) * sizeof(Packed) + 63) / 64 * 64;
}

template <class Packed>
void pack_weights(void* packed, const void* const* rows, int64_t n, int64_t k, int64_t row_begin, int64_t row_end) {
  const int64_t structs = group_structs<Packed>(k);
  const size_t struct_bytes = row_bytes(Packed::kWeight, Packed::kSpan);  // of one row of the source
  for (int64_t group = row_begin / kGroupRows; group * kGroupRows < row_end; ++group) {
    const PackedPanel<Packed> panel = packed_panel<Packed>(packed, group / 2, n, k);
    Packed* to = const_cast<Packed*>(panel.first) + group % 2;
    const int lanes = static_cast<int>(std::min<int64_t>(kGroupRows, n - group * kGroupRows));
    for (int64_t i = 0; i < structs; ++i, to += panel.width) {
      std::memset(static_cast<void*>(to), 0, sizeof(Packed));
      for (int lane = 0; lane < lanes; ++lane) {
        const auto* row = static_cast<const uint8_t*>(rows[group * kGroupRows + lane]);
        pack_lane(*to, lane, row + static_cast<size_t>(i) * struct_bytes, k - i * Packed::kSpan);
      }
    }
  }
}

template <class Packed>
void decode_lane(const Packed& packed, int lane, QuantBlock& out) {
  out.elements = Packed::kSpan;
  out.group = 32;
  out.d = 1;
  out.dmin = 0;
  decode(packed, lane, out);
}

template <class Packed>
void unpack_weights(float* out, const void* packed, int64_t n, int64_t k, int64_t row_begin, int64_t row_end,
                    int64_t k_begin, int64_t k_end) {
  for (int64_t row = row_begin; row < row_end; ++row, out += k_end - k_begin) {
    const int64_t group = row / kGroupRows;
    const PackedPanel<Packed> panel = packed_panel<Packed>(packed, group / 2, n, k);
    const int lane = static_cast<int>(row % kGroupRows);
    const auto at = [&](int64_t i) -> const Packed& { return panel.first[i / Packed::kSpan * panel.width + group % 2]; };
    if constexpr (is_quantized(Packed::kWeight)) {
      QuantBlock block;
      for (int64_t i = k_begin; i < k_end; i += Packed::kSpan) {
        decode_lane(at(i), lane, block);
        dequantize_block(block, Packed::kWeight == DType::kQ4_K, out + (i - k_begin));
      }
    } else {
      for (int64_t i = k_begin; i < k_end; ++i) out[i - k_begin] = float_weight(at(i), lane, i % Packed::kSpan);
    }
  }
}

#define STRATA_PACKED(Packed)                                                                                   \
  template size_t packed_weight_bytes<Packed>(int64_t, int64_t);                                                \
  template void pack_weights<Packed>(void*, const void* const*, int64_t, int64_t, int64_t, int64_t);            \
  template void unpack_weights<Packed>(float*, const void*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)
#define STRATA_PACKED_BLOCKS(Packed) \
  STRATA_PACKED(Packed);             \
  template void decode_lane<Packed>(const Packed&, int, QuantBlock&)

STRATA_PACKED(PackedF32);
STRATA_PACKED(PackedF16);
STRATA_PACKED(PackedBF16);
STRATA_PACKED_BLOCKS(PackedQ8_0<8>);
STRATA_PACKED_BLOCKS(PackedQ8_0<1>);
STRATA_PACKED_BLOCKS(PackedQ4_0<8>);
STRATA_PACKED_BLOCKS(PackedQ4_0<1>);
STRATA_PACKED_BLOCKS(PackedQ4_K);
STRATA_PACKED_BLOCKS(PackedQ6_K);

}  // namespace strata
