#include <algorithm>
#include <cmath>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {

void cross_entropy(const CrossEntropyArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* logits = args.logits + row * args.vocab;
    float* dlogits = args.dlogits == nullptr ? nullptr : args.dlogits + row * args.vocab;
    const int32_t target = args.targets[row];
    const double weight = args.weights == nullptr ? 1.0 : args.weights[row];
    if (target < 0) {
      args.loss[row] = 0;
      if (args.log_sum_exp != nullptr) args.log_sum_exp[row] = 0;
      if (dlogits != nullptr) std::fill(dlogits, dlogits + args.vocab, 0.0f);
      continue;
    }
    const double largest = *std::max_element(logits, logits + args.vocab);
    double sum = 0;
    for (int64_t j = 0; j < args.vocab; ++j) sum += std::exp(logits[j] - largest);
    args.loss[row] = static_cast<float>((std::log(sum) + largest - logits[target]) * weight);
    if (args.log_sum_exp != nullptr) args.log_sum_exp[row] = static_cast<float>(std::log(sum) + largest);
    if (dlogits == nullptr) continue;
    for (int64_t j = 0; j < args.vocab; ++j) {
      const double probability = std::exp(logits[j] - largest) / sum;
      dlogits[j] = static_cast<float>((probability - (j == target ? 1.0 : 0.0)) * args.scale * weight);
    }
  }
}

void cross_entropy_columns(const CrossEntropyColumnsArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* z = args.z + row * args.n;
    const int32_t target = args.targets[row];
    const double factor = target < 0 ? 0.0 : args.scale * (args.weights == nullptr ? 1.0 : args.weights[row]);
    for (int64_t j = 0; j < args.n; ++j) {
      const double probability = std::exp(static_cast<double>(z[j]) - args.log_sum_exp[row]);
      z[j] = target < 0 ? 0.0f
                        : static_cast<float>((probability - (args.first + j == target ? 1.0 : 0.0)) * factor);
    }
  }
}

}  // namespace strata::reference
