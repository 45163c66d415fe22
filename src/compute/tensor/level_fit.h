// The search for scales behind quantize_row: which scale (and minimum) brings n numbers nearest to whole levels, each
// error counted with the number's weight.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "compute/tensor/quant_blocks.h"

namespace strata {

// The nearest whole number in [low, high], ties to even. NaN becomes `low`: converting it to an integer is undefined.
inline int clamp_round(float x, int low, int high) {
  if (!(x > static_cast<float>(low))) return low;
  if (x > static_cast<float>(high)) return high;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding and taking it away leaves the nearest whole number
  return static_cast<int>((x + kMagic) - kMagic);
}

// Levels of a symmetric format: codes 0 ... kCodes - 1 stand for ascending values.
template <int kLow, int kHigh>
struct WholeLevels {
  static constexpr int kCodes = kHigh - kLow + 1;
  static constexpr float kLowest = kLow, kHighest = kHigh;
  static uint8_t nearest(float x) { return static_cast<uint8_t>(clamp_round(x, kLow, kHigh) - kLow); }
  static float value(uint8_t code) { return static_cast<float>(code + kLow); }
};
struct IQ4Levels {
  static constexpr int kCodes = 16;
  static constexpr float kLowest = kIQ4Values[0], kHighest = kIQ4Values[15];
  static uint8_t nearest(float x) {
    uint8_t code = 0;
    for (int i = 0; i < 15; ++i) code = static_cast<uint8_t>(code + (x > 0.5f * (kIQ4Values[i] + kIQ4Values[i + 1])));
    return code;
  }
  static float value(uint8_t code) { return kIQ4Values[code]; }
};

// Sum of weight * (x - scale * level)^2 with the nearest levels.
template <class Levels>
float symmetric_error(const float* x, const float* weight, int n, float scale) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  float error = 0;
  for (int i = 0; i < n; ++i) {
    const float miss = scale * Levels::value(Levels::nearest(x[i] * inverse)) - x[i];
    error += weight[i] * miss * miss;
  }
  return error;
}

// What taking the levels nearest to x * inverse gives with the best scale for these levels: the error is a constant
// minus the gain.
struct SymmetricFit {
  float scale = 0;
  float gain = 0;
};
template <class Levels>
SymmetricFit symmetric_fit(const float* x, const float* weight, int n, float inverse) {
  float xv = 0, vv = 0;
  for (int i = 0; i < n; ++i) {
    const float v = Levels::value(Levels::nearest(x[i] * inverse));
    xv += weight[i] * x[i] * v;
    vv += weight[i] * v * v;
  }
  return vv > 0 ? SymmetricFit{xv / vv, xv * (xv / vv)} : SymmetricFit{};
}

// x near scale * level. The scale may be negative, so that the extreme number may take the level farther from zero.
// Levels are taken from a range of scales that bring the extreme number near the lowest or the highest one, then from
// the best scale for the levels until that is no better.
template <class Levels>
float fit_symmetric(const float* x, const float* weight, int n) {
  constexpr int kTries = 9;
  float extreme = 0;
  for (int i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  if (std::fabs(extreme) < 1e-15f) return 0;
  SymmetricFit best{extreme / Levels::kLowest, -1};
  const auto consider = [&](float inverse) {
    const SymmetricFit fit = symmetric_fit<Levels>(x, weight, n, inverse);
    const bool better = fit.gain > best.gain;
    if (better) best = fit;
    return better;
  };
  constexpr float kStep = Levels::kHighest / 60;
  for (int t = -kTries; t <= kTries; ++t) {
    const float shift = kStep * static_cast<float>(t);
    consider((Levels::kLowest + shift) / extreme);
    consider((Levels::kHighest + shift) / extreme);
  }
  for (int t = 0; t < 4 && best.scale != 0 && consider(1.0f / best.scale); ++t) {
  }
  return best.scale;
}

struct AffineFit {
  float scale = 0;  // x is near scale * level - min, levels 0 ... kLevels; scale >= 0
  float min = 0;
};

template <int kLevels>
float affine_error(const float* x, const float* weight, int n, AffineFit fit) {
  const float inverse = fit.scale > 0 ? 1.0f / fit.scale : 0.0f;
  float error = 0;
  for (int i = 0; i < n; ++i) {
    const int q = clamp_round((x[i] + fit.min) * inverse, 0, kLevels);
    const float miss = fit.scale * static_cast<float>(q) - fit.min - x[i];
    error += weight[i] * miss * miss;
  }
  return error;
}

// Levels are taken from a range of step sizes, for each the best line through (level, x) follows by least squares, and
// the line with the least error is kept. Unless kAnyMin, minima are stored without sign: none is below 0.
template <int kLevels, bool kAnyMin>
AffineFit fit_affine(const float* x, const float* weight, int n) {
  constexpr int kTries = 24;
  float low = *std::min_element(x, x + n);
  if (!kAnyMin) low = std::min(0.0f, low);
  const float high = *std::max_element(x, x + n);
  if (!(high > low)) return {0, -low};
  AffineFit best{(high - low) / kLevels, -low};
  float best_error = affine_error<kLevels>(x, weight, n, best);
  const auto consider = [&](float inverse, float min) {
    float w = 0, wq = 0, wqq = 0, wx = 0, wqx = 0;
    for (int i = 0; i < n; ++i) {
      const float q = static_cast<float>(clamp_round((x[i] + min) * inverse, 0, kLevels));
      w += weight[i];
      wq += weight[i] * q;
      wqq += weight[i] * q * q;
      wx += weight[i] * x[i];
      wqx += weight[i] * q * x[i];
    }
    const float determinant = w * wqq - wq * wq;
    if (!(determinant > 0)) return false;
    AffineFit line{(w * wqx - wx * wq) / determinant, -(wqq * wx - wq * wqx) / determinant};
    if (!kAnyMin && line.min < 0) line = {wqx / wqq, 0};
    if (!(line.scale > 0)) return false;
    const float error = affine_error<kLevels>(x, weight, n, line);
    const bool better = error < best_error;
    if (better) {
      best_error = error;
      best = line;
    }
    return better;
  };
  for (int t = 0; t <= kTries; ++t) {
    consider((static_cast<float>(kLevels) - 1.2f + 0.1f * static_cast<float>(t)) / (high - low), -low);
  }
  for (int t = 0; t < 4 && consider(1.0f / best.scale, best.min); ++t) {
  }
  return best;
}

}  // namespace strata
