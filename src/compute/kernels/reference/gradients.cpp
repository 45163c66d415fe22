#include <cmath>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {
namespace {

struct RowMoments {
  double mean, inverse_deviation;
};

RowMoments moments(const float* x, int64_t dim, float eps) {
  double mean = 0, variance = 0;
  for (int64_t j = 0; j < dim; ++j) mean += x[j];
  mean /= static_cast<double>(dim);
  for (int64_t j = 0; j < dim; ++j) variance += (x[j] - mean) * (x[j] - mean);
  return {mean, 1.0 / std::sqrt(variance / static_cast<double>(dim) + eps)};
}

}  // namespace

// With n = (x - mean) * r and g = dy * (w + w_offset): dx = r * (g - mean(g) - n * mean(g * n)).
void layer_norm_dx(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim, float eps,
                   float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, dy += dim, dx += dim) {
    const RowMoments m = moments(x, dim, eps);
    const auto g = [&](int64_t j) { return dy[j] * (w == nullptr ? 1.0 : static_cast<double>(w[j]) + w_offset); };
    const auto n = [&](int64_t j) { return (x[j] - m.mean) * m.inverse_deviation; };
    double mean_g = 0, along_n = 0;
    for (int64_t j = 0; j < dim; ++j) {
      mean_g += g(j);
      along_n += g(j) * n(j);
    }
    mean_g /= static_cast<double>(dim);
    along_n /= static_cast<double>(dim);
    for (int64_t j = 0; j < dim; ++j) {
      dx[j] = static_cast<float>(m.inverse_deviation * (g(j) - mean_g - n(j) * along_n));
    }
  }
}

void layer_norm_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t row_stride, int64_t dim, float eps,
                   int64_t dim_begin, int64_t dim_end) {
  for (int64_t i = 0; i < rows; ++i, x += row_stride, dy += row_stride) {
    const RowMoments m = moments(x, dim, eps);
    for (int64_t j = dim_begin; j < dim_end; ++j) {
      dw[j] += static_cast<float>(dy[j] * (x[j] - m.mean) * m.inverse_deviation);
    }
  }
}

void softmax_grad(float* dx, const float* dy, const float* y, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i, dx += dim, dy += dim, y += dim) {
    double along_y = 0;
    for (int64_t j = 0; j < dim; ++j) along_y += static_cast<double>(dy[j]) * y[j];
    for (int64_t j = 0; j < dim; ++j) dx[j] = static_cast<float>(y[j] * (dy[j] - along_y));
  }
}

void clamp_grad(float* dx, const float* dy, const float* x, float limit, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dx[i] = x[i] > limit || x[i] < -limit ? 0.0f : dy[i];
}

void head_matmul_dx(float* dx, const float* dy, const float* w, int n_heads, int64_t n, int64_t k, int64_t row_begin,
                    int64_t row_end) {
  for (int64_t i = row_begin * n_heads; i < row_end * n_heads; ++i) {
    const float* w_head = w + i % n_heads * n * k;
    for (int64_t c = 0; c < k; ++c) {
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += static_cast<double>(dy[i * n + j]) * w_head[j * k + c];
      dx[i * k + c] = static_cast<float>(sum);
    }
  }
}

void head_matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int n_heads, int64_t n, int64_t k,
                    int64_t begin, int64_t end) {
  for (int64_t j = begin; j < end; ++j) {
    const int64_t head = j / n;
    for (int64_t c = 0; c < k; ++c) {
      double sum = dw[j * k + c];
      for (int64_t i = 0; i < rows; ++i) {
        sum += static_cast<double>(dy[i * n_heads * n + j]) * x[(i * n_heads + head) * k + c];
      }
      dw[j * k + c] = static_cast<float>(sum);
    }
  }
}

void sinks_grad(float* dsinks, const SinksGradArgs& args, int head_begin, int head_end) {
  for (int head = head_begin; head < head_end; ++head) {
    double sum = 0;
    for (int64_t t = 0; t < args.tokens; ++t) {
      const int64_t at = t * args.n_heads + head;
      double along_out = 0;
      for (int d = 0; d < args.v_dim; ++d) {
        along_out += static_cast<double>(args.dout[at * args.v_dim + d]) * args.out[at * args.v_dim + d];
      }
      sum -= std::exp(static_cast<double>(args.sinks[head]) - args.log_sum_exp[at]) * along_out;
    }
    dsinks[head] = static_cast<float>(sum);
  }
}

}  // namespace strata::reference
