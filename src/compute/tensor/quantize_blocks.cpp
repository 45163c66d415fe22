// Blocks of 32 numbers.
#include "compute/tensor/quantize_blocks.h"

#include "compute/tensor/half.h"
#include "compute/tensor/level_fit.h"

namespace strata {
namespace {

// The extreme becomes the lowest level, the one without a counterpart; ties go up, as the formats' other writers do.
template <int kLowest>
float plain_symmetric(const float* x, uint8_t code[32]) {
  float extreme = 0;
  for (int i = 0; i < 32; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  const float d = extreme / kLowest;
  const float inverse = d != 0 ? 1.0f / d : 0.0f;
  for (int i = 0; i < 32; ++i) {
    const float q = x[i] * inverse + (0.5f - kLowest);
    code[i] = static_cast<uint8_t>(std::isfinite(q) ? std::clamp(q, 0.0f, -2.0f * kLowest - 1) : -kLowest);
  }
  return d;
}

template <int kLevels>
AffineFit plain_affine(const float* x, uint8_t code[32]) {
  const float low = *std::min_element(x, x + 32), high = *std::max_element(x, x + 32);
  const float d = (high - low) / kLevels;
  const float inverse = d > 0 ? 1.0f / d : 0.0f;
  for (int i = 0; i < 32; ++i) {
    const float q = (x[i] - low) * inverse + 0.5f;
    code[i] = static_cast<uint8_t>(std::isfinite(q) ? std::clamp(q, 0.0f, static_cast<float>(kLevels)) : 0.0f);
  }
  return {d, -low};
}

// Codes for the scale as it is stored.
template <class Levels>
void nearest_codes(const float* x, uint16_t d, uint8_t code[32]) {
  const float scale = half_to_float(d);
  for (int i = 0; i < 32; ++i) code[i] = Levels::nearest(scale != 0 ? x[i] / scale : 0.0f);
}

template <class Levels, class Block>
void encode_symmetric(const float* x, const float* weight, Block& block) {
  uint8_t code[32];
  if (weight == nullptr) {
    block.d = float_to_half(plain_symmetric<static_cast<int>(Levels::kLowest)>(x, code));
  } else {
    block.d = finite_half(fit_symmetric<Levels>(x, weight, 32));
    nearest_codes<Levels>(x, block.d, code);
  }
  write_codes(block, code);
}

template <int kLevels, class Block>
void encode_affine(const float* x, const float* weight, Block& block) {
  uint8_t code[32];
  const AffineFit fit = weight == nullptr ? plain_affine<kLevels>(x, code) : fit_affine<kLevels, true>(x, weight, 32);
  block.d = finite_half(fit.scale);
  block.m = finite_half(-fit.min);
  if (weight != nullptr) {
    const float scale = half_to_float(block.d), min = half_to_float(block.m);
    for (int i = 0; i < 32; ++i) {
      code[i] = static_cast<uint8_t>(scale > 0 ? clamp_round((x[i] - min) / scale, 0, kLevels) : 0);
    }
  }
  write_codes(block, code);
}

// The code of the nearest kFP4Values: 0-7 ascend from 0, 8-15 are their negatives.
uint8_t nearest_fp4(float x) {
  const float magnitude = std::fabs(x);
  int code = 0;
  for (int i = 0; i < 7; ++i) code += magnitude > 0.5f * static_cast<float>(kFP4Values[i] + kFP4Values[i + 1]) ? 1 : 0;
  return static_cast<uint8_t>(x < 0 && code > 0 ? code + 8 : code);
}

// Sum of weighted squares of what is missed with this exponent.
float fp4_error(const float* x, const float* weight, uint8_t exponent) {
  const float scale = half_of_e8m0(exponent);
  float error = 0;
  for (int i = 0; i < 32; ++i) {
    const float miss = scale * kFP4Values[nearest_fp4(x[i] / scale)] - x[i];
    error += (weight != nullptr ? weight[i] : 1.0f) * miss * miss;
  }
  return error;
}

}  // namespace

uint16_t finite_half(float value) { return float_to_half(std::clamp(value, -65504.0f, 65504.0f)); }

void encode_block(const float* x, const float*, BlockQ8_0& block) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float d = largest / 127.0f;
  const float inverse = d > 0 ? 1.0f / d : 0.0f;
  block.d = float_to_half(d);
  for (int i = 0; i < 32; ++i) {
    const float q = std::round(x[i] * inverse);  // ties away from zero, as the format's other writers do
    block.q[i] = static_cast<int8_t>(std::isfinite(q) ? std::clamp(q, -127.0f, 127.0f) : 0.0f);  // inverse: 1 / tiny
  }
}

void encode_block(const float* x, const float* weight, BlockQ4_0& block) {
  encode_symmetric<WholeLevels<-8, 7>>(x, weight, block);
}
void encode_block(const float* x, const float* weight, BlockQ5_0& block) {
  encode_symmetric<WholeLevels<-16, 15>>(x, weight, block);
}
void encode_block(const float* x, const float* weight, BlockQ4_1& block) { encode_affine<15>(x, weight, block); }
void encode_block(const float* x, const float* weight, BlockQ5_1& block) { encode_affine<31>(x, weight, block); }

void encode_block(const float* x, const float* weight, BlockIQ4_NL& block) {
  uint8_t code[32];
  block.d = finite_half(fit_symmetric<IQ4Levels>(x, weight, 32));
  nearest_codes<IQ4Levels>(x, block.d, code);
  write_codes(block, code);
}

// The largest magnitude lies between 4 and 8 times 2^(e - 127), where 6 is the largest value, or one power below.
void encode_block(const float* x, const float* weight, BlockMXFP4& block) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const int exponent = largest > 0 ? std::clamp(std::ilogb(largest) - 2 + 127, 0, 254) : 0;
  block.e = static_cast<uint8_t>(exponent);
  const auto next = static_cast<uint8_t>(exponent + 1);
  if (largest > 0 && fp4_error(x, weight, next) < fp4_error(x, weight, block.e)) block.e = next;
  const float scale = half_of_e8m0(block.e);
  uint8_t code[32];
  for (int i = 0; i < 32; ++i) code[i] = nearest_fp4(x[i] / scale);
  write_codes(block, code);
}

}  // namespace strata
