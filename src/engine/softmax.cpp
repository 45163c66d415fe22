#include "engine/softmax.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace strata {
namespace {

// Four lanes: what every x86-64 and ARMv8 machine has. Vector extensions of GCC and Clang.
typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));

Float4 load(const float* values) {
  Float4 lanes;
  std::memcpy(&lanes, values, sizeof lanes);
  return lanes;
}

void store(float* values, Float4 lanes) { std::memcpy(values, &lanes, sizeof lanes); }

Float4 splat(float value) { return Float4{value, value, value, value}; }

// exp for x <= 0: 2^n * exp(r) with |r| <= ln(2) / 2 and a polynomial of degree 6 for exp(r). Relative error under
// 2e-7.
Float4 exp_lanes(Float4 x) {
  const Float4 magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Float4 lowest = splat(-87.0f);
  const Int4 in_range = x >= lowest;  // false for NaN too
  x = in_range ? x : lowest;
  const Float4 n = (x * splat(1.44269504f) + magic) - magic;
  const Float4 r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
  Float4 sum = splat(1.0f / 720);
  for (const float coefficient : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = sum * r + splat(coefficient);
  const Int4 exponent = (__builtin_convertvector(n, Int4) + 127) << 23;
  Float4 power;
  std::memcpy(&power, &exponent, sizeof power);
  return in_range ? sum * power : splat(0.0f);
}

double add_lanes(Float4 a) { return (double{a[0]} + double{a[1]}) + (double{a[2]} + double{a[3]}); }

// Calls body(index, lanes, count) for groups of four; the last group is filled with -infinity.
template <class Body>
void for_lanes(std::span<const float> values, size_t begin, size_t end, Body body) {
  size_t i = begin;
  for (; i + 4 <= end; i += 4) body(i, load(&values[i]), size_t{4});
  if (i == end) return;
  float tail[4];
  for (size_t lane = 0; lane < 4; ++lane) {
    tail[lane] = i + lane < end ? values[i + lane] : -std::numeric_limits<float>::infinity();
  }
  body(i, load(tail), end - i);
}

}  // namespace

float max_value(std::span<const float> values) {
  const float lowest = -std::numeric_limits<float>::infinity();
  Float4 max[4] = {splat(lowest), splat(lowest), splat(lowest), splat(lowest)};
  size_t i = 0;
  for (; i + 16 <= values.size(); i += 16) {
    for (size_t j = 0; j < 4; ++j) {
      const Float4 x = load(&values[i + 4 * j]);
      max[j] = x > max[j] ? x : max[j];
    }
  }
  for_lanes(values, i, values.size(), [&](size_t, Float4 x, size_t) { max[0] = x > max[0] ? x : max[0]; });
  float result = lowest;
  for (const Float4& lanes : max) {
    for (int lane = 0; lane < 4; ++lane) result = lanes[lane] > result ? lanes[lane] : result;
  }
  return result;
}

double exp_weights(std::span<const float> values, float max, float scale, std::span<float> weights,
                   std::vector<double>& block_sums) {
  block_sums.clear();
  double total = 0;
  for (size_t begin = 0; begin < values.size(); begin += kSumBlock) {
    const size_t end = begin + kSumBlock < values.size() ? begin + kSumBlock : values.size();
    Float4 sum = splat(0.0f);
    for_lanes(values, begin, end, [&](size_t i, Float4 x, size_t count) {
      const Float4 weight = exp_lanes((x - splat(max)) * splat(scale));
      sum += weight;
      if (count == 4) {
        store(&weights[i], weight);
      } else {
        for (size_t lane = 0; lane < count; ++lane) weights[i + lane] = weight[lane];
      }
    });
    block_sums.push_back(add_lanes(sum));
    total += block_sums.back();
  }
  return total;
}

double log_sum_exp(std::span<const float> values, float max) {
  double total = 0;
  for (size_t begin = 0; begin < values.size(); begin += kSumBlock) {
    const size_t end = begin + kSumBlock < values.size() ? begin + kSumBlock : values.size();
    Float4 sum = splat(0.0f);
    for_lanes(values, begin, end, [&](size_t, Float4 x, size_t) { sum += exp_lanes(x - splat(max)); });
    total += add_lanes(sum);
  }
  return std::log(total);
}

int count_before(std::span<const float> values, int index) {
  const float value = values[static_cast<size_t>(index)];
  const Float4 limit = splat(value);
  Int4 greater{};
  for_lanes(values, 0, values.size(), [&](size_t, Float4 x, size_t) { greater -= x > limit; });
  int before = greater[0] + greater[1] + greater[2] + greater[3];
  for (size_t i = 0; i < static_cast<size_t>(index); ++i) before += values[i] == value;
  return before;
}

}  // namespace strata
