#include "compute/tensor/block_codes.h"

namespace strata {
namespace {

// 32 numbers in 16 bytes: low bits the first 16, high bits the second.
void read_halves(const uint8_t q[16], uint8_t code[32]) {
  for (int i = 0; i < 16; ++i) {
    code[i] = q[i] & 15;
    code[i + 16] = q[i] >> 4;
  }
}
void write_halves(uint8_t q[16], const uint8_t code[32]) {
  for (int i = 0; i < 16; ++i) q[i] = static_cast<uint8_t>((code[i] & 15) | code[i + 16] << 4);
}

// The fifth bits of 32 numbers, one after the other.
void read_bits(const uint8_t high[4], uint8_t code[32]) {
  for (int i = 0; i < 32; ++i) code[i] = static_cast<uint8_t>(code[i] | (high[i / 8] >> i % 8 & 1) << 4);
}
void write_bits(uint8_t high[4], const uint8_t code[32]) {
  std::memset(high, 0, 4);
  for (int i = 0; i < 32; ++i) high[i / 8] = static_cast<uint8_t>(high[i / 8] | (code[i] >> 4 & 1) << i % 8);
}

// 256 numbers in 128 bytes: of each 64 numbers the first 32 are the low, the second the high bits of 32 bytes.
void read_nibbles(const uint8_t q[128], uint8_t code[256]) {
  for (int chunk = 0; chunk < 4; ++chunk) {
    for (int i = 0; i < 32; ++i) {
      code[64 * chunk + i] = q[32 * chunk + i] & 15;
      code[64 * chunk + 32 + i] = q[32 * chunk + i] >> 4;
    }
  }
}
void write_nibbles(uint8_t q[128], const uint8_t code[256]) {
  for (int chunk = 0; chunk < 4; ++chunk) {
    for (int i = 0; i < 32; ++i) {
      q[32 * chunk + i] = static_cast<uint8_t>((code[64 * chunk + i] & 15) | code[64 * chunk + 32 + i] << 4);
    }
  }
}

// Two bits of 256 numbers, at `shift` of the codes: of each 128 numbers, 32 bytes hold numbers i, i + 32, i + 64, i
// + 96.
void read_pairs(const uint8_t pairs[64], int shift, uint8_t code[256]) {
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      code[32 * j + i] = static_cast<uint8_t>(code[32 * j + i] | (pairs[j / 4 * 32 + i] >> (j % 4 * 2) & 3) << shift);
    }
  }
}
void write_pairs(uint8_t pairs[64], int shift, const uint8_t code[256]) {
  std::memset(pairs, 0, 64);
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      uint8_t& byte = pairs[j / 4 * 32 + i];
      byte = static_cast<uint8_t>(byte | (code[32 * j + i] >> shift & 3) << (j % 4 * 2));
    }
  }
}

// One bit of 256 numbers, at `shift` of the codes: that of number 32 j + i is bit j of byte i.
void read_planes(const uint8_t planes[32], int shift, uint8_t code[256]) {
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      code[32 * j + i] = static_cast<uint8_t>(code[32 * j + i] | (planes[i] >> j & 1) << shift);
    }
  }
}
void write_planes(uint8_t planes[32], int shift, const uint8_t code[256]) {
  std::memset(planes, 0, 32);
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      planes[i] = static_cast<uint8_t>(planes[i] | (code[32 * j + i] >> shift & 1) << j);
    }
  }
}

// Eight pairs (scale, minimum) of 6 bits: the first four as they are, with the high bits of the second four on top,
// whose low bits are in bytes 8-11.
void read_six_bits(const uint8_t s[12], GroupScales& out) {
  for (int j = 0; j < 4; ++j) {
    out.scale[j] = s[j] & 63;
    out.min[j] = s[j + 4] & 63;
    out.scale[j + 4] = static_cast<int8_t>((s[j + 8] & 15) | (s[j] >> 6) << 4);
    out.min[j + 4] = static_cast<uint8_t>(s[j + 8] >> 4 | (s[j + 4] >> 6) << 4);
  }
}
void write_six_bits(uint8_t s[12], const GroupScales& scales) {
  for (int j = 0; j < 4; ++j) {
    s[j] = static_cast<uint8_t>(scales.scale[j] | scales.scale[j + 4] >> 4 << 6);
    s[j + 4] = static_cast<uint8_t>(scales.min[j] | scales.min[j + 4] >> 4 << 6);
    s[j + 8] = static_cast<uint8_t>((scales.scale[j + 4] & 15) | (scales.min[j + 4] & 15) << 4);
  }
}

}  // namespace

void read_codes(const BlockQ4_0& block, uint8_t code[32]) { read_halves(block.q, code); }
void read_codes(const BlockQ4_1& block, uint8_t code[32]) { read_halves(block.q, code); }
void read_codes(const BlockIQ4_NL& block, uint8_t code[32]) { read_halves(block.q, code); }
void read_codes(const BlockInt4& block, uint8_t code[32]) { read_halves(block.q, code); }
void read_codes(const BlockMXFP4& block, uint8_t code[32]) { read_halves(block.q, code); }
void read_codes(const BlockQ5_0& block, uint8_t code[32]) {
  read_halves(block.q, code);
  read_bits(block.high, code);
}
void read_codes(const BlockQ5_1& block, uint8_t code[32]) {
  read_halves(block.q, code);
  read_bits(block.high, code);
}
void read_codes(const BlockQ2_K& block, uint8_t code[256]) {
  std::memset(code, 0, 256);
  read_pairs(block.q, 0, code);
}
void read_codes(const BlockQ3_K& block, uint8_t code[256]) {
  std::memset(code, 0, 256);
  read_pairs(block.low, 0, code);
  read_planes(block.high, 2, code);
}
void read_codes(const BlockQ4_K& block, uint8_t code[256]) { read_nibbles(block.q, code); }
void read_codes(const BlockQ5_K& block, uint8_t code[256]) {
  read_nibbles(block.q, code);
  read_planes(block.high, 4, code);
}
void read_codes(const BlockQ6_K& block, uint8_t code[256]) {
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, place = i % 128;
    code[i] = block.low[64 * half + place % 64] >> (place / 64 * 4) & 15;
  }
  read_pairs(block.high, 4, code);
}
void read_codes(const BlockIQ4_XS& block, uint8_t code[256]) {
  for (int b = 0; b < 8; ++b) read_halves(block.q + 16 * b, code + 32 * b);
}

void write_codes(BlockQ4_0& block, const uint8_t code[32]) { write_halves(block.q, code); }
void write_codes(BlockQ4_1& block, const uint8_t code[32]) { write_halves(block.q, code); }
void write_codes(BlockIQ4_NL& block, const uint8_t code[32]) { write_halves(block.q, code); }
void write_codes(BlockInt4& block, const uint8_t code[32]) { write_halves(block.q, code); }
void write_codes(BlockMXFP4& block, const uint8_t code[32]) { write_halves(block.q, code); }
void write_codes(BlockQ5_0& block, const uint8_t code[32]) {
  write_halves(block.q, code);
  write_bits(block.high, code);
}
void write_codes(BlockQ5_1& block, const uint8_t code[32]) {
  write_halves(block.q, code);
  write_bits(block.high, code);
}
void write_codes(BlockQ2_K& block, const uint8_t code[256]) { write_pairs(block.q, 0, code); }
void write_codes(BlockQ3_K& block, const uint8_t code[256]) {
  write_pairs(block.low, 0, code);
  write_planes(block.high, 2, code);
}
void write_codes(BlockQ4_K& block, const uint8_t code[256]) { write_nibbles(block.q, code); }
void write_codes(BlockQ5_K& block, const uint8_t code[256]) {
  write_nibbles(block.q, code);
  write_planes(block.high, 4, code);
}
void write_codes(BlockQ6_K& block, const uint8_t code[256]) {
  std::memset(block.low, 0, sizeof(block.low));
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, place = i % 128;
    uint8_t& byte = block.low[64 * half + place % 64];
    byte = static_cast<uint8_t>(byte | (code[i] & 15) << (place / 64 * 4));
  }
  write_pairs(block.high, 4, code);
}
void write_codes(BlockIQ4_XS& block, const uint8_t code[256]) {
  for (int b = 0; b < 8; ++b) write_halves(block.q + 16 * b, code + 32 * b);
}

void read_scales(const BlockQ2_K& block, GroupScales& out) {
  for (int j = 0; j < 16; ++j) {
    out.scale[j] = block.scales[j] & 15;
    out.min[j] = block.scales[j] >> 4;
  }
}
void read_scales(const BlockQ3_K& block, GroupScales& out) {
  for (int j = 0; j < 16; ++j) {
    const int low = block.scales[j % 8] >> (j / 8 * 4) & 15, high = block.scales[8 + j % 4] >> (j / 4 * 2) & 3;
    out.scale[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
}
void read_scales(const BlockQ4_K& block, GroupScales& out) { read_six_bits(block.scales, out); }
void read_scales(const BlockQ5_K& block, GroupScales& out) { read_six_bits(block.scales, out); }
void read_scales(const BlockQ6_K& block, GroupScales& out) { std::memcpy(out.scale, block.scales, 16); }
void read_scales(const BlockIQ4_XS& block, GroupScales& out) {
  for (int j = 0; j < 8; ++j) {
    const int low = block.scales_low[j / 2] >> (j % 2 * 4) & 15, high = block.scales_high >> (2 * j) & 3;
    out.scale[j] = static_cast<int8_t>((low | high << 4) - 32);
  }
}

void write_scales(BlockQ2_K& block, const GroupScales& scales) {
  for (int j = 0; j < 16; ++j) block.scales[j] = static_cast<uint8_t>(scales.scale[j] | scales.min[j] << 4);
}
void write_scales(BlockQ3_K& block, const GroupScales& scales) {
  std::memset(block.scales, 0, sizeof(block.scales));
  for (int j = 0; j < 16; ++j) {
    const int bits = scales.scale[j] + 32;
    uint8_t& low = block.scales[j % 8];
    uint8_t& high = block.scales[8 + j % 4];
    low = static_cast<uint8_t>(low | (bits & 15) << (j / 8 * 4));
    high = static_cast<uint8_t>(high | bits >> 4 << (j / 4 * 2));
  }
}
void write_scales(BlockQ4_K& block, const GroupScales& scales) { write_six_bits(block.scales, scales); }
void write_scales(BlockQ5_K& block, const GroupScales& scales) { write_six_bits(block.scales, scales); }
void write_scales(BlockQ6_K& block, const GroupScales& scales) { std::memcpy(block.scales, scales.scale, 16); }
void write_scales(BlockIQ4_XS& block, const GroupScales& scales) {
  int high = 0;
  std::memset(block.scales_low, 0, sizeof(block.scales_low));
  for (int j = 0; j < 8; ++j) {
    const int bits = scales.scale[j] + 32;
    block.scales_low[j / 2] = static_cast<uint8_t>(block.scales_low[j / 2] | (bits & 15) << (j % 2 * 4));
    high |= bits >> 4 << (2 * j);
  }
  block.scales_high = static_cast<uint16_t>(high);
}

}  // namespace strata
