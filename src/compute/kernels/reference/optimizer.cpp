#include <cmath>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {

void adamw(const OptimizerArgs& a) {
  for (int64_t i = 0; i < a.n; ++i) {
    const float g = a.gradient[i] * a.scale;
    const float m = a.first[i] = a.first[i] * a.beta1 + g * (1 - a.beta1);
    const float v = a.second[i] = a.second[i] * a.beta2 + g * g * (1 - a.beta2);
    a.values[i] = a.values[i] * a.keep - a.rate * m / (std::sqrt(v) * a.root + a.epsilon);
  }
}

void sgd(const OptimizerArgs& a) {
  for (int64_t i = 0; i < a.n; ++i) {
    const float m = a.first[i] = a.first[i] * a.beta1 + a.gradient[i] * a.scale;
    a.values[i] = a.values[i] * a.keep - a.rate * m;
  }
}

void lion(const OptimizerArgs& a) {
  for (int64_t i = 0; i < a.n; ++i) {
    const float g = a.gradient[i] * a.scale;
    const float direction = a.first[i] * a.beta1 + g * (1 - a.beta1);
    const float sign = direction > 0 ? 1.0F : direction < 0 ? -1.0F : 0.0F;
    a.first[i] = a.first[i] * a.beta2 + g * (1 - a.beta2);
    a.values[i] = a.values[i] * a.keep - a.rate * sign;
  }
}

}  // namespace strata::reference
