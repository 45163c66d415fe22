// fp32 rows into quantized blocks.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "compute/tensor/half.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {
namespace {

int clamp_round(float x, int low, int high) {
  // Written so that NaN becomes `low`: converting it to an integer is undefined.
  if (!(x > static_cast<float>(low))) return low;
  if (x > static_cast<float>(high)) return high;
  return static_cast<int>(std::nearbyint(x));
}

// Quantized numbers come from finite ones, small enough that every factor fits in fp16 (Q4_0: 8 * 65504).
void load_finite(const float* src, float* dst, int n) {
  constexpr float kLargest = 5e5f;
  for (int i = 0; i < n; ++i) dst[i] = std::isnan(src[i]) ? 0.0f : std::clamp(src[i], -kLargest, kLargest);
}

void encode(const float* x, BlockQ8_0& block) {
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

void encode(const float* x, BlockQ4_0& block) {
  float extreme = 0;
  for (int i = 0; i < 32; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  const float d = extreme / -8.0f;  // the extreme becomes -8, the one number without a counterpart
  const float inverse = d != 0 ? 1.0f / d : 0.0f;
  block.d = float_to_half(d);
  const auto level = [&](float v) {
    const float q = v * inverse + 8.5f;
    return static_cast<uint8_t>(std::isfinite(q) ? std::clamp(q, 0.0f, 15.0f) : 8.0f);
  };
  for (int i = 0; i < 16; ++i) block.q[i] = static_cast<uint8_t>(level(x[i]) | level(x[i + 16]) << 4);
}

struct Affine {
  float scale = 0;  // x is near scale * q - min, both >= 0
  float min = 0;
};

// Large weights matter more to a product: each error counts with |x| plus the root mean square.
void importance(const float* x, float* weight, int n) {
  float squares = 0;
  for (int i = 0; i < n; ++i) squares += x[i] * x[i];
  const float typical = std::sqrt(squares / static_cast<float>(n));
  for (int i = 0; i < n; ++i) weight[i] = typical + std::fabs(x[i]);
}

// Scale and minimum of 32 numbers in 4 bits: levels are taken from a range of step sizes, for each the best line
// through (level, x) follows by least squares, and the line with the least error is kept.
Affine fit_affine(const float* x, const float* weight) {
  constexpr int kN = 32, kLevels = 15, kTries = 24;
  const float low = std::min(0.0f, *std::min_element(x, x + kN));
  const float high = *std::max_element(x, x + kN);
  if (!(high > low)) return {0, -low};
  Affine best{(high - low) / kLevels, -low};
  float best_error = INFINITY;
  for (int t = 0; t <= kTries; ++t) {
    const float steps = (static_cast<float>(kLevels) - 1.2f + 0.1f * static_cast<float>(t)) / (high - low);
    float w = 0, wq = 0, wqq = 0, wx = 0, wqx = 0;
    for (int i = 0; i < kN; ++i) {
      const float q = static_cast<float>(clamp_round(steps * (x[i] - low), 0, kLevels));
      w += weight[i];
      wq += weight[i] * q;
      wqq += weight[i] * q * q;
      wx += weight[i] * x[i];
      wqx += weight[i] * q * x[i];
    }
    const float determinant = w * wqq - wq * wq;
    if (!(determinant > 0)) continue;
    Affine line{(w * wqx - wx * wq) / determinant, -(wqq * wx - wq * wqx) / determinant};
    if (line.min < 0) line = {wqx / wqq, 0};  // minima are stored without sign
    if (!(line.scale > 0)) continue;
    float error = 0;
    for (int i = 0; i < kN; ++i) {
      const int q = clamp_round((x[i] + line.min) / line.scale, 0, kLevels);
      const float miss = line.scale * static_cast<float>(q) - line.min - x[i];
      error += weight[i] * miss * miss;
    }
    if (error < best_error) {
      best_error = error;
      best = line;
    }
  }
  return best;
}

void encode(const float* x, BlockQ4_K& block) {
  Affine lines[8];
  float weight[32];
  float max_scale = 0, max_min = 0;
  for (int j = 0; j < 8; ++j) {
    importance(x + 32 * j, weight, 32);
    lines[j] = fit_affine(x + 32 * j, weight);
    max_scale = std::max(max_scale, lines[j].scale);
    max_min = std::max(max_min, lines[j].min);
  }
  block.d = float_to_half(max_scale / 63.0f);
  block.dmin = float_to_half(max_min / 63.0f);
  const float d = half_to_float(block.d), dmin = half_to_float(block.dmin);
  int s[8], m[8];
  uint8_t q[256];
  for (int j = 0; j < 8; ++j) {
    s[j] = d > 0 ? clamp_round(lines[j].scale / d, 0, 63) : 0;
    m[j] = dmin > 0 ? clamp_round(lines[j].min / dmin, 0, 63) : 0;
    const float step = d * static_cast<float>(s[j]), min = dmin * static_cast<float>(m[j]);
    for (int i = 32 * j; i < 32 * j + 32; ++i) {
      q[i] = static_cast<uint8_t>(step > 0 ? clamp_round((x[i] + min) / step, 0, 15) : 0);
    }
  }
  for (int j = 0; j < 4; ++j) {
    block.scales[j] = static_cast<uint8_t>(s[j] | s[j + 4] >> 4 << 6);
    block.scales[j + 4] = static_cast<uint8_t>(m[j] | m[j + 4] >> 4 << 6);
    block.scales[j + 8] = static_cast<uint8_t>((s[j + 4] & 15) | (m[j + 4] & 15) << 4);
  }
  for (int i = 0; i < 128; ++i) {
    const int place = i / 32 * 64 + i % 32;
    block.q[i] = static_cast<uint8_t>(q[place] | q[place + 32] << 4);
  }
}

// Scale of 16 numbers in levels -32 ... 31, x near scale * level; its sign may be negative, so that the extreme number
// may take the level -32. Least squares for a range of step sizes, errors weighted by x^2.
float fit_symmetric(const float* x) {
  constexpr int kN = 16;
  float extreme = 0;
  for (int i = 0; i < kN; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  if (std::fabs(extreme) < 1e-15f) return 0;
  float best = extreme / -32.0f, best_gain = -1;
  for (int t = -9; t <= 9; ++t) {
    const float steps = -(32.0f + 0.1f * static_cast<float>(t)) / extreme;
    float xq = 0, qq = 0;
    for (int i = 0; i < kN; ++i) {
      const float q = static_cast<float>(clamp_round(steps * x[i], -32, 31)), weight = x[i] * x[i];
      xq += weight * x[i] * q;
      qq += weight * q * q;
    }
    // The error of the best scale xq / qq is a constant minus xq^2 / qq.
    if (qq > 0 && xq * (xq / qq) > best_gain) {
      best_gain = xq * (xq / qq);
      best = xq / qq;
    }
  }
  return best;
}

void encode(const float* x, BlockQ6_K& block) {
  float scales[16], extreme = 0;
  for (int j = 0; j < 16; ++j) {
    scales[j] = fit_symmetric(x + 16 * j);
    if (std::fabs(scales[j]) > std::fabs(extreme)) extreme = scales[j];
  }
  std::memset(&block, 0, sizeof(block));
  block.d = float_to_half(extreme / -128.0f);
  const float d = half_to_float(block.d);
  uint8_t q[256];
  for (int j = 0; j < 16; ++j) {
    block.scales[j] = static_cast<int8_t>(d != 0 ? clamp_round(scales[j] / d, -128, 127) : 0);
    const float step = d * static_cast<float>(block.scales[j]);
    for (int i = 16 * j; i < 16 * j + 16; ++i) {
      q[i] = static_cast<uint8_t>(32 + (step != 0 ? clamp_round(x[i] / step, -32, 31) : 0));
    }
  }
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, place = i % 128;
    block.low[64 * half + place % 64] |= static_cast<uint8_t>((q[i] & 15) << (place / 64 * 4));
    block.high[32 * half + place % 32] |= static_cast<uint8_t>(q[i] >> 4 << (place / 32 * 2));
  }
}

template <class Block, int kElements>
void encode_row(const float* src, void* dst, int64_t k) {
  float x[kElements];
  Block block;
  auto* out = static_cast<uint8_t*>(dst);
  for (int64_t i = 0; i < k; i += kElements, out += sizeof(block)) {
    load_finite(src + i, x, kElements);
    encode(x, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

}  // namespace

void quantize_row(DType type, const float* src, void* dst, int64_t k) {
  CHECK(can_convert(type));
  CHECK_EQ(k % traits(type).block_elements, 0);
  switch (type) {
    case DType::kQ8_0: return encode_row<BlockQ8_0, 32>(src, dst, k);
    case DType::kQ4_0: return encode_row<BlockQ4_0, 32>(src, dst, k);
    case DType::kQ4_K: return encode_row<BlockQ4_K, 256>(src, dst, k);
    case DType::kQ6_K: return encode_row<BlockQ6_K, 256>(src, dst, k);
    case DType::kF32: std::memcpy(dst, src, static_cast<size_t>(k) * sizeof(float)); return;
    default: break;
  }
  for (int64_t i = 0; i < k; ++i) {
    const uint16_t bits = type == DType::kF16 ? float_to_half(src[i]) : float_to_bfloat16(src[i]);
    std::memcpy(static_cast<uint8_t*>(dst) + 2 * i, &bits, 2);
  }
}

}  // namespace strata
