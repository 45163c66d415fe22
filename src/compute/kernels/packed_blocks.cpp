#include "compute/kernels/packed_blocks.h"

#include <cstring>

#include "compute/tensor/block_codes.h"
#include "compute/tensor/half.h"

namespace strata {
namespace {

// Four codes of a lane.
uint32_t word(const uint8_t* codes, int index) {
  uint32_t value;
  std::memcpy(&value, codes + 4 * index, 4);
  return value;
}
void set_word(uint8_t* codes, int index, uint32_t value) { std::memcpy(codes + 4 * index, &value, 4); }

// The low four bits of 32 codes; the others are dropped. read_ functions set all bits of the codes, add_ functions add
// bits at `shift`.
void pack_nibbles(uint8_t vectors[4][64], int lane, const uint8_t code[32]) {
  constexpr uint32_t kLow = 0x0f0f0f0f;
  for (int v = 0; v < 4; ++v) set_word(vectors[v], lane, (word(code, v) & kLow) | (word(code, v + 4) & kLow) << 4);
}
void read_nibbles(const uint8_t vectors[4][64], int lane, uint8_t code[32]) {
  constexpr uint32_t kLow = 0x0f0f0f0f;
  for (int v = 0; v < 4; ++v) {
    set_word(code, v, word(vectors[v], lane) & kLow);
    set_word(code, v + 4, word(vectors[v], lane) >> 4 & kLow);
  }
}

// The same of 64 codes, the first 32 in the low bits.
void pack_nibbles_of_two(uint8_t vectors[8][64], int lane, const uint8_t code[64]) {
  for (int v = 0; v < 8; ++v) set_word(vectors[v], lane, word(code, v) | word(code, v + 8) << 4);
}
void read_nibbles_of_two(const uint8_t vectors[8][64], int lane, uint8_t code[64]) {
  constexpr uint32_t kLow = 0x0f0f0f0f;
  for (int v = 0; v < 8; ++v) {
    set_word(code, v, word(vectors[v], lane) & kLow);
    set_word(code, v + 8, word(vectors[v], lane) >> 4 & kLow);
  }
}

// 32 int8, stored with 128 added.
void pack_signed(uint8_t vectors[8][64], int lane, const int8_t q[32]) {
  for (int i = 0; i < 32; ++i) vectors[i / 4][4 * lane + i % 4] = static_cast<uint8_t>(q[i] + 128);
}
void read_signed(const uint8_t vectors[8][64], int lane, uint8_t code[32]) {
  for (int v = 0; v < 8; ++v) set_word(code, v, word(vectors[v], lane) ^ 0x80808080);
}

// The two bits at `shift` of 64 codes.
void pack_pairs(uint8_t vectors[4][64], int lane, int shift, const uint8_t code[64]) {
  constexpr uint32_t kPairs = 0x03030303;
  for (int v = 0; v < 4; ++v) {
    uint32_t bits = 0;
    for (int j = 0; j < 4; ++j) bits |= (word(code, 4 * j + v) >> shift & kPairs) << 2 * j;
    set_word(vectors[v], lane, bits);
  }
}
void add_pairs(const uint8_t vectors[4][64], int lane, int shift, uint8_t code[64]) {
  constexpr uint32_t kPairs = 0x03030303;
  for (int v = 0; v < 4; ++v) {
    for (int j = 0; j < 4; ++j) {
      const uint32_t bits = word(vectors[v], lane) >> 2 * j & kPairs;
      set_word(code, 4 * j + v, word(code, 4 * j + v) | bits << shift);
    }
  }
}

// The bit at `shift` of 32 codes.
void pack_bits(uint8_t vector[64], int lane, int shift, const uint8_t code[32]) {
  uint32_t bits = 0;
  for (int v = 0; v < 8; ++v) bits |= (word(code, v) >> shift & 0x01010101) << v;
  set_word(vector, lane, bits);
}
void add_bits(const uint8_t vector[64], int lane, int shift, uint8_t code[32]) {
  for (int v = 0; v < 8; ++v) set_word(code, v, word(code, v) | (word(vector, lane) >> v & 0x01010101) << shift);
}

// Blocks of 32 --------------------------------------------------------------------------------------------------------

template <class Block, class Packed>
void pack_small(Packed& packed, int lane, const uint8_t* src) {
  uint8_t code[32];
  for (int b = 0; b < Packed::kSpan / 32; ++b) {
    const auto block = load_block<Block>(src + static_cast<size_t>(b) * sizeof(Block));
    read_codes(block, code);
    pack_nibbles(packed.low[b], lane, code);
    if constexpr (requires { packed.high; }) pack_bits(packed.high[b], lane, 4, code);
    if constexpr (requires { packed.d; }) packed.d[b][lane] = block.d;
    if constexpr (requires { packed.m; }) packed.m[b][lane] = block.m;
    if constexpr (requires { packed.e; }) packed.e[b][lane] = block.e;
  }
}

template <class Packed>
void decode_small(const Packed& packed, int lane, uint8_t* code, QuantBlock& out) {
  for (int b = 0; b < Packed::kSpan / 32; ++b) {
    read_nibbles(packed.low[b], lane, code + 32 * b);
    if constexpr (requires { packed.high; }) add_bits(packed.high[b], lane, 4, code + 32 * b);
    if constexpr (requires { packed.d; }) out.scale[b] = half_to_float(packed.d[b][lane]);
    if constexpr (requires { packed.e; }) out.scale[b] = half_of_e8m0(packed.e[b][lane]);
    if constexpr (requires { packed.m; }) out.min[b] = half_to_float(packed.m[b][lane]);
  }
  if constexpr (requires { packed.m; }) out.dmin = -1;
}

template <int kBlocks>
void pack_lane(PackedQ8_0<kBlocks>& packed, int lane, const uint8_t* src, int64_t) {
  for (int b = 0; b < kBlocks; ++b) {
    const auto block = load_block<BlockQ8_0>(src + static_cast<size_t>(b) * sizeof(BlockQ8_0));
    packed.d[b][lane] = block.d;
    pack_signed(packed.q[b], lane, block.q);
  }
}
template <int kBlocks>
void decode(const PackedQ8_0<kBlocks>& packed, int lane, uint8_t* code, QuantBlock& out) {
  for (int b = 0; b < kBlocks; ++b) {
    out.scale[b] = half_to_float(packed.d[b][lane]);
    read_signed(packed.q[b], lane, code + 32 * b);
  }
}

template <int kBlocks>
void pack_lane(PackedInt8<kBlocks>& packed, int lane, const uint8_t* src, int64_t) {
  for (int b = 0; b < kBlocks; ++b) {
    const auto block = load_block<BlockInt8>(src + static_cast<size_t>(b) * sizeof(BlockInt8));
    packed.d[b][lane] = block_factor(block);
    pack_signed(packed.q[b], lane, block.q);
  }
}
template <int kBlocks>
void decode(const PackedInt8<kBlocks>& packed, int lane, uint8_t* code, QuantBlock& out) {
  for (int b = 0; b < kBlocks; ++b) {
    out.scale[b] = packed.d[b][lane];
    read_signed(packed.q[b], lane, code + 32 * b);
  }
}

template <int kBlocks>
void pack_lane(PackedInt4<kBlocks>& packed, int lane, const uint8_t* src, int64_t) {
  uint8_t code[32];
  for (int b = 0; b < kBlocks; ++b) {
    const auto block = load_block<BlockInt4>(src + static_cast<size_t>(b) * sizeof(BlockInt4));
    read_codes(block, code);
    pack_nibbles(packed.low[b], lane, code);
    packed.d[b][lane] = block_factor(block);
    packed.zero[b][lane] = block.zero;
  }
}
// What is called a code here has the zero taken off.
template <int kBlocks>
void decode(const PackedInt4<kBlocks>& packed, int lane, uint8_t* code, QuantBlock& out) {
  for (int b = 0; b < kBlocks; ++b) {
    read_nibbles(packed.low[b], lane, code + 32 * b);
    for (int i = 0; i < 32; ++i) code[32 * b + i] = static_cast<uint8_t>(code[32 * b + i] - packed.zero[b][lane]);
    out.scale[b] = packed.d[b][lane];
  }
}

#define STRATA_SMALL(Packed, Block)                                                      \
  template <int kBlocks>                                                                 \
  void pack_lane(Packed<kBlocks>& packed, int lane, const uint8_t* src, int64_t) {       \
    pack_small<Block>(packed, lane, src);                                                \
  }                                                                                      \
  template <int kBlocks>                                                                 \
  void decode(const Packed<kBlocks>& packed, int lane, uint8_t* code, QuantBlock& out) { \
    decode_small(packed, lane, code, out);                                               \
  }
STRATA_SMALL(PackedQ4_0, BlockQ4_0)
STRATA_SMALL(PackedQ4_1, BlockQ4_1)
STRATA_SMALL(PackedQ5_0, BlockQ5_0)
STRATA_SMALL(PackedQ5_1, BlockQ5_1)
STRATA_SMALL(PackedIQ4_NL, BlockIQ4_NL)
STRATA_SMALL(PackedMXFP4, BlockMXFP4)
#undef STRATA_SMALL

// Blocks of 256 -------------------------------------------------------------------------------------------------------

// What the file says of a block, apart from the factors, which are stored at once.
struct Contents {
  uint8_t code[256];
  GroupScales groups;
};
template <class Block, class Packed>
Contents read_block(Packed& packed, int lane, const uint8_t* src) {
  const auto block = load_block<Block>(src);
  Contents contents;
  read_codes(block, contents.code);
  read_scales(block, contents.groups);
  packed.d[lane] = block.d;
  if constexpr (requires { packed.dmin; }) packed.dmin[lane] = block.dmin;
  return contents;
}

template <class Packed>
void read_factors(const Packed& packed, int lane, QuantBlock& out) {
  out.d = half_to_float(packed.d[lane]);
  if constexpr (requires { packed.dmin; }) out.dmin = half_to_float(packed.dmin[lane]);
}

void pack_lane(PackedQ2_K& packed, int lane, const uint8_t* src, int64_t) {
  const Contents c = read_block<BlockQ2_K>(packed, lane, src);
  for (int chunk = 0; chunk < 4; ++chunk) pack_pairs(packed.low[chunk], lane, 0, c.code + 64 * chunk);
  for (int j = 0; j < 16; ++j) {
    packed.scale[j / 2][lane][j % 2] = static_cast<uint8_t>(c.groups.scale[j] | c.groups.min[j] << 4);
  }
}
void decode(const PackedQ2_K& packed, int lane, uint8_t* code, QuantBlock& out) {
  read_factors(packed, lane, out);
  std::memset(code, 0, 256);
  for (int chunk = 0; chunk < 4; ++chunk) add_pairs(packed.low[chunk], lane, 0, code + 64 * chunk);
  for (int j = 0; j < 16; ++j) {
    out.scale[j] = packed.scale[j / 2][lane][j % 2] & 15;
    out.min[j] = packed.scale[j / 2][lane][j % 2] >> 4;
  }
}

void pack_lane(PackedQ3_K& packed, int lane, const uint8_t* src, int64_t) {
  const Contents c = read_block<BlockQ3_K>(packed, lane, src);
  for (int chunk = 0; chunk < 4; ++chunk) pack_pairs(packed.low[chunk], lane, 0, c.code + 64 * chunk);
  for (int b = 0; b < 8; ++b) pack_bits(packed.high[b], lane, 2, c.code + 32 * b);
  for (int j = 0; j < 16; ++j) {
    const int bits = c.groups.scale[j] + 32;
    uint8_t& low = packed.scale_low[j / 2][lane];
    uint8_t& high = packed.scale_high[j / 4][lane];
    low = static_cast<uint8_t>(low | (bits & 15) << (j % 2 * 4));
    high = static_cast<uint8_t>(high | bits >> 4 << (j % 4 * 2));
  }
}
void decode(const PackedQ3_K& packed, int lane, uint8_t* code, QuantBlock& out) {
  read_factors(packed, lane, out);
  std::memset(code, 0, 256);
  for (int chunk = 0; chunk < 4; ++chunk) add_pairs(packed.low[chunk], lane, 0, code + 64 * chunk);
  for (int b = 0; b < 8; ++b) add_bits(packed.high[b], lane, 2, code + 32 * b);
  for (int j = 0; j < 16; ++j) {
    const int low = packed.scale_low[j / 2][lane] >> (j % 2 * 4) & 15;
    const int high = packed.scale_high[j / 4][lane] >> (j % 4 * 2) & 3;
    out.scale[j] = static_cast<float>((low | high << 4) - 32);
  }
}

// Q4_K and Q5_K.
template <class Packed>
void pack_six_bit_scales(Packed& packed, int lane, const GroupScales& groups) {
  for (int b = 0; b < 8; ++b) {
    packed.scale[b / 2][lane][b % 2] = static_cast<uint8_t>(groups.scale[b]);
    packed.min[b / 2][lane][b % 2] = groups.min[b];
  }
}
template <class Packed>
void read_six_bit_scales(const Packed& packed, int lane, QuantBlock& out) {
  for (int b = 0; b < 8; ++b) {
    out.scale[b] = packed.scale[b / 2][lane][b % 2];
    out.min[b] = packed.min[b / 2][lane][b % 2];
  }
}

void pack_lane(PackedQ4_K& packed, int lane, const uint8_t* src, int64_t) {
  const Contents c = read_block<BlockQ4_K>(packed, lane, src);
  for (int i = 0; i < 4; ++i) pack_nibbles_of_two(packed.low[i], lane, c.code + 64 * i);
  pack_six_bit_scales(packed, lane, c.groups);
}
void decode(const PackedQ4_K& packed, int lane, uint8_t* code, QuantBlock& out) {
  read_factors(packed, lane, out);
  for (int i = 0; i < 4; ++i) read_nibbles_of_two(packed.low[i], lane, code + 64 * i);
  read_six_bit_scales(packed, lane, out);
}

void pack_lane(PackedQ5_K& packed, int lane, const uint8_t* src, int64_t) {
  const Contents c = read_block<BlockQ5_K>(packed, lane, src);
  for (int b = 0; b < 8; ++b) {
    pack_nibbles(packed.low[b], lane, c.code + 32 * b);
    pack_bits(packed.high[b], lane, 4, c.code + 32 * b);
  }
  pack_six_bit_scales(packed, lane, c.groups);
}
void decode(const PackedQ5_K& packed, int lane, uint8_t* code, QuantBlock& out) {
  read_factors(packed, lane, out);
  for (int b = 0; b < 8; ++b) {
    read_nibbles(packed.low[b], lane, code + 32 * b);
    add_bits(packed.high[b], lane, 4, code + 32 * b);
  }
  read_six_bit_scales(packed, lane, out);
}

void pack_lane(PackedQ6_K& packed, int lane, const uint8_t* src, int64_t) {
  const Contents c = read_block<BlockQ6_K>(packed, lane, src);
  for (int b = 0; b < 8; ++b) pack_nibbles(packed.low[b], lane, c.code + 32 * b);
  for (int chunk = 0; chunk < 4; ++chunk) pack_pairs(packed.high[chunk], lane, 4, c.code + 64 * chunk);
  for (int j = 0; j < 16; ++j) packed.scale[j / 2][lane][j % 2] = c.groups.scale[j];
}
void decode(const PackedQ6_K& packed, int lane, uint8_t* code, QuantBlock& out) {
  read_factors(packed, lane, out);
  for (int b = 0; b < 8; ++b) read_nibbles(packed.low[b], lane, code + 32 * b);
  for (int chunk = 0; chunk < 4; ++chunk) add_pairs(packed.high[chunk], lane, 4, code + 64 * chunk);
  for (int j = 0; j < 16; ++j) out.scale[j] = packed.scale[j / 2][lane][j % 2];
}

void pack_lane(PackedIQ4_XS& packed, int lane, const uint8_t* src, int64_t) {
  const Contents c = read_block<BlockIQ4_XS>(packed, lane, src);
  for (int b = 0; b < 8; ++b) {
    pack_nibbles(packed.low[b], lane, c.code + 32 * b);
    packed.scale[b][lane] = c.groups.scale[b];
  }
}
void decode(const PackedIQ4_XS& packed, int lane, uint8_t* code, QuantBlock& out) {
  read_factors(packed, lane, out);
  for (int b = 0; b < 8; ++b) {
    read_nibbles(packed.low[b], lane, code + 32 * b);
    out.scale[b] = packed.scale[b][lane];
  }
}

template <class Packed>
void unpack_lane(const Packed& packed, int lane, int, float* out) {
  QuantBlock block;
  decode_lane(packed, lane, block);
  dequantize_block(block, minima_of(Packed::kWeight), out);
}

}  // namespace
}  // namespace strata

#include "compute/kernels/packed_weights.inl"

namespace strata {

template <class Packed>
void decode_lane(const Packed& packed, int lane, QuantBlock& out) {
  uint8_t code[Packed::kSpan];
  out.elements = Packed::kSpan;
  out.group = scale_group(Packed::kWeight);
  out.d = 1;
  out.dmin = 0;
  decode(packed, lane, code, out);
  for (int i = 0; i < Packed::kSpan; ++i) out.q[i] = code_value(Packed::kWeight, code[i]);
}

#define STRATA_PACKED_BLOCKS(Packed) \
  STRATA_PACKED(Packed);             \
  template void decode_lane<Packed>(const Packed&, int, QuantBlock&)

STRATA_PACKED_BLOCKS(PackedQ8_0<8>);
STRATA_PACKED_BLOCKS(PackedQ8_0<1>);
STRATA_PACKED_BLOCKS(PackedQ4_0<8>);
STRATA_PACKED_BLOCKS(PackedQ4_0<1>);
STRATA_PACKED_BLOCKS(PackedQ4_1<8>);
STRATA_PACKED_BLOCKS(PackedQ4_1<1>);
STRATA_PACKED_BLOCKS(PackedQ5_0<8>);
STRATA_PACKED_BLOCKS(PackedQ5_0<1>);
STRATA_PACKED_BLOCKS(PackedQ5_1<8>);
STRATA_PACKED_BLOCKS(PackedQ5_1<1>);
STRATA_PACKED_BLOCKS(PackedIQ4_NL<8>);
STRATA_PACKED_BLOCKS(PackedIQ4_NL<1>);
STRATA_PACKED_BLOCKS(PackedMXFP4<8>);
STRATA_PACKED_BLOCKS(PackedMXFP4<1>);
STRATA_PACKED_BLOCKS(PackedInt4<8>);
STRATA_PACKED_BLOCKS(PackedInt4<1>);
STRATA_PACKED_BLOCKS(PackedInt8<8>);
STRATA_PACKED_BLOCKS(PackedInt8<1>);
STRATA_PACKED_BLOCKS(PackedQ2_K);
STRATA_PACKED_BLOCKS(PackedQ3_K);
STRATA_PACKED_BLOCKS(PackedQ4_K);
STRATA_PACKED_BLOCKS(PackedQ5_K);
STRATA_PACKED_BLOCKS(PackedQ6_K);
STRATA_PACKED_BLOCKS(PackedIQ4_XS);

}  // namespace strata
