#include <algorithm>
#include <cmath>
#include <numbers>

#include "compute/kernels/reference/ops.h"
#include "compute/tensor/half.h"

namespace strata::reference {
namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The argument of tanh in the tanh form of GELU (Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415).
double gelu_inner(double x) { return std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x); }

double value(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu: return x * sigmoid(x);
    case Activation::kGelu: return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
    case Activation::kGeluTanh: return 0.5 * x * (1.0 + std::tanh(gelu_inner(x)));
    case Activation::kRelu: return x > 0 ? x : 0.0;
    case Activation::kRelu2: return x > 0 ? x * x : 0.0;
    case Activation::kSigmoid: return sigmoid(x);
    case Activation::kTanh: return std::tanh(x);
  }
  return x;
}

double slope(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu: return sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
    case Activation::kGelu: {
      const double density = std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
      return 0.5 * (1.0 + std::erf(x / std::numbers::sqrt2)) + x * density;
    }
    case Activation::kGeluTanh: {
      const double t = std::tanh(gelu_inner(x));
      const double inner_slope = std::sqrt(2.0 / std::numbers::pi) * (1.0 + 3.0 * 0.044715 * x * x);
      return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner_slope;
    }
    case Activation::kRelu: return x > 0 ? 1.0 : 0.0;
    case Activation::kRelu2: return x > 0 ? 2.0 * x : 0.0;
    case Activation::kSigmoid: return sigmoid(x) * (1.0 - sigmoid(x));
    case Activation::kTanh: return 1.0 - std::tanh(x) * std::tanh(x);
  }
  return 1;
}

}  // namespace

void add(float* y, const float* a, const float* b, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void mul(float* y, const float* a, const float* b, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] * b[i];
}

void scale(float* y, const float* x, float factor, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * factor;
}

void clamp(float* y, const float* x, float limit, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::isnan(x[i]) ? x[i] : std::clamp(x[i], -limit, limit);
}

void add_bias(float* y, const float* x, const float* b, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < dim; ++j) y[i * dim + j] = x[i * dim + j] + b[j];
  }
}

void activate(Activation activation, float* y, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(value(activation, x[i]));
}

void gated(Activation activation, float* y, const float* gate, const float* up, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(value(activation, gate[i]) * up[i]);
}

void clamped_gated(float* y, const float* gate, const float* up, float alpha, float limit, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = gate[i] > limit ? limit : gate[i];
    const double u = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
    y[i] = static_cast<float>((u + 1.0) * g * sigmoid(alpha * g));
  }
}

void clamped_gated_grad(float* dgate, float* dup, const float* dy, const float* gate, const float* up, float alpha,
                        float limit, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const bool gate_clamped = gate[i] > limit, up_clamped = up[i] > limit || up[i] < -limit;
    const double d = dy[i], g = gate_clamped ? limit : gate[i];
    const double u = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
    const double s = sigmoid(alpha * g);
    dgate[i] = gate_clamped ? 0.0f : static_cast<float>(d * (u + 1.0) * s * (1.0 + alpha * g * (1.0 - s)));
    dup[i] = up_clamped ? 0.0f : static_cast<float>(d * g * s);
  }
}

void activate_grad(Activation activation, float* dx, const float* dy, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dx[i] = static_cast<float>(dy[i] * slope(activation, x[i]));
}

void gated_grad(Activation activation, float* dgate, float* dup, const float* dy, const float* gate, const float* up,
                int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double d = dy[i], g = gate[i], u = up[i];
    dgate[i] = static_cast<float>(d * u * slope(activation, g));
    dup[i] = static_cast<float>(d * value(activation, g));
  }
}

void add_bias_grad(float* db, const float* dy, int64_t rows, int64_t dim, int64_t dim_begin, int64_t dim_end) {
  for (int64_t j = dim_begin; j < dim_end; ++j) {
    double sum = db[j];
    for (int64_t i = 0; i < rows; ++i) sum += dy[i * dim + j];
    db[j] = static_cast<float>(sum);
  }
}

void embed_grad(float* dw, const float* dy, const int32_t* ids, int64_t tokens, int64_t dim, int32_t id_begin,
                int32_t id_end) {
  for (int64_t t = 0; t < tokens; ++t) {
    if (ids[t] < id_begin || ids[t] >= id_end) continue;
    for (int64_t j = 0; j < dim; ++j) dw[ids[t] * dim + j] += dy[t * dim + j];
  }
}

void from_activation(float* to, const void* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = bfloat16_to_float(static_cast<const uint16_t*>(from)[i]);
}

}  // namespace strata::reference
