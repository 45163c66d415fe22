// The two passes over a row of logits that every way of sampling needs. Results are the same bits on every machine:
// fixed lanes, fixed order, our own exp. NaN inputs count as the least likely.
#pragma once

#include <span>
#include <vector>

namespace strata {

// Values per partial sum; fixed, as it decides the order of additions.
inline constexpr int kSumBlock = 1024;

// Largest value; -infinity when there is none.
float max_value(std::span<const float> values);

// weights[i] = exp((values[i] - max) * scale), 0 below exp(-87). `block_sums` gets one sum per kSumBlock values;
// returns the sum of all.
double exp_weights(std::span<const float> values, float max, float scale, std::span<float> weights,
                   std::vector<double>& block_sums);

// log(sum of exp(values[i] - max)), without storing weights.
double log_sum_exp(std::span<const float> values, float max);

// How many values are greater than `value`, or equal and before `index`: its rank - 1.
int count_before(std::span<const float> values, int index);

}  // namespace strata
