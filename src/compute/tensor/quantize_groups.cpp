// Blocks of 256 numbers: groups of 16 or 32 with whole scales (and minima), which an fp16 multiplies.
//
// Each group is fitted alone (level_fit.h). The largest scale then takes the last whole number there is, the others the
// best of the whole numbers around theirs; and the fp16 factors follow once more by least squares from all levels.
#include <iterator>

#include "compute/tensor/half.h"
#include "compute/tensor/level_fit.h"
#include "compute/tensor/quantize_blocks.h"

namespace strata {
namespace {

constexpr int kRefits = 2;

template <class Levels, int kGroup, int kLowestScale, int kHighestScale>
class SymmetricBlock {
 public:
  SymmetricBlock(const float* x, const float* weight) : x_(x), weight_(weight) {
    float extreme = 0;
    for (int j = 0; j < kGroups; ++j) {
      fitted_[j] = fit_symmetric<Levels>(x + kGroup * j, weight + kGroup * j, kGroup);
      if (std::fabs(fitted_[j]) > std::fabs(extreme)) extreme = fitted_[j];
    }
    float least = choose(finite_half(extreme / kLowestScale), *this);
    for (int t = 0; t < kRefits; ++t) {
      SymmetricBlock other = *this;
      const float error = choose(refit(), other);
      if (!(error < least)) break;
      least = error;
      *this = other;
    }
  }
  uint16_t d() const { return d_; }
  const GroupScales& scales() const { return scales_; }
  void codes(uint8_t code[256]) const {
    for (int i = 0; i < 256; ++i) {
      const float step = half_to_float(d_) * scales_.scale[i / kGroup];
      code[i] = Levels::nearest(step != 0 ? x_[i] / step : 0.0f);
    }
  }

 private:
  static constexpr int kGroups = 256 / kGroup;

  // Gives `out` this factor and the whole scales that are best with it; returns the error.
  float choose(uint16_t d, SymmetricBlock& out) const {
    const float factor = half_to_float(d);
    out.d_ = d;
    float total = 0;
    for (int j = 0; j < kGroups; ++j) {
      const int middle = factor != 0 ? clamp_round(fitted_[j] / factor, kLowestScale, kHighestScale) : 0;
      float least = INFINITY;
      for (int s = std::max(middle - 1, kLowestScale); s <= std::min(middle + 1, kHighestScale); ++s) {
        const float step = factor * static_cast<float>(s);
        const float error = symmetric_error<Levels>(x_ + kGroup * j, weight_ + kGroup * j, kGroup, step);
        if (error < least) {
          least = error;
          out.scales_.scale[j] = static_cast<int8_t>(s);
        }
      }
      total += least;
    }
    return total;
  }
  uint16_t refit() const {
    uint8_t code[256];
    codes(code);
    float xv = 0, vv = 0;
    for (int i = 0; i < 256; ++i) {
      const float v = static_cast<float>(scales_.scale[i / kGroup]) * Levels::value(code[i]);
      xv += weight_[i] * x_[i] * v;
      vv += weight_[i] * v * v;
    }
    return vv > 0 ? finite_half(xv / vv) : d_;
  }

  const float* x_;
  const float* weight_;
  float fitted_[kGroups];
  uint16_t d_ = 0;
  GroupScales scales_ = {};
};

template <int kLevels, int kGroup, int kHighest>
class AffineBlock {
 public:
  AffineBlock(const float* x, const float* weight) : x_(x), weight_(weight) {
    float max_scale = 0, max_min = 0;
    for (int j = 0; j < kGroups; ++j) {
      fitted_[j] = fit_affine<kLevels, false>(x + kGroup * j, weight + kGroup * j, kGroup);
      max_scale = std::max(max_scale, fitted_[j].scale);
      max_min = std::max(max_min, fitted_[j].min);
    }
    float least = choose(finite_half(max_scale / kHighest), finite_half(max_min / kHighest), *this);
    for (int t = 0; t < kRefits; ++t) {
      AffineBlock other = *this;
      uint16_t d, dmin;
      refit(d, dmin);
      const float error = choose(d, dmin, other);
      if (!(error < least)) break;
      least = error;
      *this = other;
    }
  }
  uint16_t d() const { return d_; }
  uint16_t dmin() const { return dmin_; }
  const GroupScales& scales() const { return scales_; }
  void codes(uint8_t code[256]) const {
    for (int i = 0; i < 256; ++i) {
      const AffineFit line = stored(d_, dmin_, scales_.scale[i / kGroup], scales_.min[i / kGroup]);
      code[i] = static_cast<uint8_t>(line.scale > 0 ? clamp_round((x_[i] + line.min) / line.scale, 0, kLevels) : 0);
    }
  }

 private:
  static constexpr int kGroups = 256 / kGroup;

  static AffineFit stored(uint16_t d, uint16_t dmin, int scale, int min) {
    return {half_to_float(d) * static_cast<float>(scale), half_to_float(dmin) * static_cast<float>(min)};
  }
  // Gives `out` these factors and the whole scales and minima that are best with them; returns the error.
  float choose(uint16_t d, uint16_t dmin, AffineBlock& out) const {
    const float factor = half_to_float(d), min_factor = half_to_float(dmin);
    out.d_ = d;
    out.dmin_ = dmin;
    float total = 0;
    for (int j = 0; j < kGroups; ++j) {
      const int scale = factor > 0 ? clamp_round(fitted_[j].scale / factor, 0, kHighest) : 0;
      const int min = min_factor > 0 ? clamp_round(fitted_[j].min / min_factor, 0, kHighest) : 0;
      float least = INFINITY;
      for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, kHighest); ++s) {
        for (int m = std::max(min - 1, 0); m <= std::min(min + 1, kHighest); ++m) {
          const float error =
              affine_error<kLevels>(x_ + kGroup * j, weight_ + kGroup * j, kGroup, stored(d, dmin, s, m));
          if (error < least) {
            least = error;
            out.scales_.scale[j] = static_cast<int8_t>(s);
            out.scales_.min[j] = static_cast<uint8_t>(m);
          }
        }
      }
      total += least;
    }
    return total;
  }
  // x near d * (scale * level) - dmin * min for all levels at once.
  void refit(uint16_t& d, uint16_t& dmin) const {
    uint8_t code[256];
    codes(code);
    float vv = 0, vm = 0, mm = 0, xv = 0, xm = 0;
    for (int i = 0; i < 256; ++i) {
      const float v = static_cast<float>(scales_.scale[i / kGroup] * code[i]), m = scales_.min[i / kGroup];
      vv += weight_[i] * v * v;
      vm += weight_[i] * v * m;
      mm += weight_[i] * m * m;
      xv += weight_[i] * x_[i] * v;
      xm += weight_[i] * x_[i] * m;
    }
    const float determinant = vv * mm - vm * vm;
    d = d_;
    dmin = dmin_;
    if (!(determinant > 0)) return;
    const float factor = (xv * mm - xm * vm) / determinant, min_factor = (xv * vm - xm * vv) / determinant;
    if (!(factor > 0) || !(min_factor >= 0)) return;
    d = finite_half(factor);
    dmin = finite_half(min_factor);
  }

  const float* x_;
  const float* weight_;
  AffineFit fitted_[kGroups];
  uint16_t d_ = 0, dmin_ = 0;
  GroupScales scales_ = {};
};

template <class Fitted, class Block>
void store(const Fitted& fitted, Block& block) {
  block.d = fitted.d();
  if constexpr (requires { block.dmin; }) block.dmin = fitted.dmin();
  write_scales(block, fitted.scales());
  uint8_t code[256];
  fitted.codes(code);
  write_codes(block, code);
}

}  // namespace

void encode_block(const float* x, const float* weight, BlockQ2_K& block) {
  store(AffineBlock<3, 16, 15>(x, weight), block);
}
void encode_block(const float* x, const float* weight, BlockQ4_K& block) {
  store(AffineBlock<15, 32, 63>(x, weight), block);
}
void encode_block(const float* x, const float* weight, BlockQ5_K& block) {
  store(AffineBlock<31, 32, 63>(x, weight), block);
}
void encode_block(const float* x, const float* weight, BlockQ3_K& block) {
  store(SymmetricBlock<WholeLevels<-4, 3>, 16, -32, 31>(x, weight), block);
}
void encode_block(const float* x, const float* weight, BlockQ6_K& block) {
  store(SymmetricBlock<WholeLevels<-32, 31>, 16, -128, 127>(x, weight), block);
}
void encode_block(const float* x, const float* weight, BlockIQ4_XS& block) {
  store(SymmetricBlock<IQ4Levels, 32, -32, 31>(x, weight), block);
}

}  // namespace strata
