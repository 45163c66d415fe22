#include <algorithm>
#include <cmath>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {
namespace {

double inverse_rms(const float* x, int64_t dim, float eps) {
  double sum = 0;
  for (int64_t j = 0; j < dim; ++j) sum += static_cast<double>(x[j]) * x[j];
  return 1.0 / std::sqrt(sum / static_cast<double>(dim) + eps);
}

}  // namespace

void rms_norm(float* y, const float* x, const float* w, int64_t rows, int64_t dim, float eps, float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, y += dim) {
    const double r = inverse_rms(x, dim, eps);
    for (int64_t j = 0; j < dim; ++j) {
      y[j] = static_cast<float>(x[j] * r * (w == nullptr ? 1.0 : static_cast<double>(w[j]) + w_offset));
    }
  }
}

void layer_norm(float* y, const float* x, const float* w, const float* b, int64_t rows, int64_t dim, float eps,
                float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, y += dim) {
    double mean = 0;
    for (int64_t j = 0; j < dim; ++j) mean += x[j];
    mean /= static_cast<double>(dim);
    double variance = 0;
    for (int64_t j = 0; j < dim; ++j) variance += (x[j] - mean) * (x[j] - mean);
    variance /= static_cast<double>(dim);
    const double r = 1.0 / std::sqrt(variance + eps);
    for (int64_t j = 0; j < dim; ++j) {
      const double factor = w == nullptr ? 1.0 : static_cast<double>(w[j]) + w_offset;
      const double offset = b == nullptr ? 0.0 : b[j];
      y[j] = static_cast<float>((x[j] - mean) * r * factor + offset);
    }
  }
}

void softmax(float* y, const float* x, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i, x += dim, y += dim) {
    const double largest = *std::max_element(x, x + dim);
    double sum = 0;
    for (int64_t j = 0; j < dim; ++j) sum += std::exp(x[j] - largest);
    for (int64_t j = 0; j < dim; ++j) y[j] = static_cast<float>(std::exp(x[j] - largest) / sum);
  }
}

// dx = r * (g - x * r^2 * mean(g * x)), g = dy * (w + w_offset).
void rms_norm_dx(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim, float eps,
                 float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, dy += dim, dx += dim) {
    const double r = inverse_rms(x, dim, eps);
    const auto g = [&](int64_t j) { return dy[j] * (w == nullptr ? 1.0 : static_cast<double>(w[j]) + w_offset); };
    double projection = 0;
    for (int64_t j = 0; j < dim; ++j) projection += g(j) * x[j];
    projection *= r * r / static_cast<double>(dim);
    for (int64_t j = 0; j < dim; ++j) dx[j] = static_cast<float>(r * (g(j) - x[j] * projection));
  }
}

void rms_norm_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t dim, float eps, int64_t dim_begin,
                 int64_t dim_end) {
  for (int64_t i = 0; i < rows; ++i, x += dim, dy += dim) {
    const double r = inverse_rms(x, dim, eps);
    for (int64_t j = dim_begin; j < dim_end; ++j) dw[j] += static_cast<float>(dy[j] * (x[j] * r));
  }
}

}  // namespace strata::reference
