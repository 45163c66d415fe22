// Gradients of layer norm, softmax, clamp, the small matmuls per head and attention sinks. Included inside the namespace
// of an instruction set.
namespace {

struct RowMoments {
  float mean, inverse_deviation;
};

STRATA_INLINE RowMoments row_moments(const float* x, int64_t dim, float eps) {
  const float count = static_cast<float>(dim);
  const float mean = row_sum(dim, [&](int64_t j, int64_t n) { return load_first(x + j, n); }) / count;
  const float variance = row_sum(dim, [&](int64_t j, int64_t n) {
    const Lanes d = load_first(x + j, n) - broadcast(mean);
    return n == kLanes ? d * d : select(less(lane_numbers(), broadcast(static_cast<float>(n))), d * d, broadcast(0));
  }) / count;
  return {mean, 1.0f / square_root(variance + eps)};
}

}  // namespace

// With n = (x - mean) * r and g = dy * (w + w_offset): dx = r * (g - mean(g) - n * mean(g * n)).
void layer_norm_dx(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim, float eps,
                   float w_offset) {
  const float count = static_cast<float>(dim);
  for (int64_t i = 0; i < rows; ++i, x += dim, dy += dim, dx += dim) {
    const RowMoments m = row_moments(x, dim, eps);
    const auto g = [&](int64_t j, int64_t n) {
      const Lanes d = load_first(dy + j, n);
      return w == nullptr ? d : d * (load_first(w + j, n) + broadcast(w_offset));
    };
    const auto normed = [&](int64_t j, int64_t n) {
      return (load_first(x + j, n) - broadcast(m.mean)) * broadcast(m.inverse_deviation);
    };
    // Lanes beyond the row: g is 0 there.
    const Lanes mean_g = broadcast(row_sum(dim, g) / count);
    const Lanes along = broadcast(row_sum(dim, [&](int64_t j, int64_t n) { return g(j, n) * normed(j, n); }) / count);
    row_map(dx, dim, [&](int64_t j, int64_t n) {
      return broadcast(m.inverse_deviation) * (g(j, n) - mean_g - normed(j, n) * along);
    });
  }
}

void layer_norm_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t row_stride, int64_t dim, float eps,
                   int64_t dim_begin, int64_t dim_end) {
  for (int64_t i = 0; i < rows; ++i, x += row_stride, dy += row_stride) {
    const RowMoments m = row_moments(x, dim, eps);
    row_map(dw + dim_begin, dim_end - dim_begin, [&](int64_t j, int64_t n) {
      const Lanes normed = (load_first(x + dim_begin + j, n) - broadcast(m.mean)) * broadcast(m.inverse_deviation);
      return multiply_add(load_first(dy + dim_begin + j, n), normed, load_first(dw + dim_begin + j, n));
    });
  }
}

void softmax_grad(float* dx, const float* dy, const float* y, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i, dx += dim, dy += dim, y += dim) {
    const Lanes along_y = broadcast(dot(dy, y, dim));
    row_map(dx, dim, [&](int64_t j, int64_t n) { return load_first(y + j, n) * (load_first(dy + j, n) - along_y); });
  }
}

void clamp_grad(float* dx, const float* dy, const float* x, float limit, int64_t n) {
  const Lanes high = broadcast(limit), low = broadcast(-limit), zero = broadcast(0);
  row_map(dx, n, [&](int64_t i, int64_t m) {
    const Lanes v = load_first(x + i, m);
    return select(less(high, v), zero, select(less(v, low), zero, load_first(dy + i, m)));
  });
}

void head_matmul_dx(float* dx, const float* dy, const float* w, int n_heads, int64_t n, int64_t k, int64_t row_begin,
                    int64_t row_end) {
  for (int64_t i = row_begin * n_heads; i < row_end * n_heads; ++i) {
    const float* w_head = w + i % n_heads * n * k;
    clear(dx + i * k, k);
    for (int64_t j = 0; j < n; ++j) add_scaled(dx + i * k, w_head + j * k, dy[i * n + j], k);
  }
}

void head_matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int n_heads, int64_t n, int64_t k,
                    int64_t begin, int64_t end) {
  for (int64_t j = begin; j < end; ++j) {
    const float* x_head = x + j / n * k;
    for (int64_t i = 0; i < rows; ++i) add_scaled(dw + j * k, x_head + i * n_heads * k, dy[i * n_heads * n + j], k);
  }
}

void sinks_grad(float* dsinks, const SinksGradArgs& args, int head_begin, int head_end) {
  for (int head = head_begin; head < head_end; ++head) {
    float sum = 0;
    for (int64_t t = 0; t < args.tokens; ++t) {
      const int64_t at = t * args.n_heads + head;
      const Lanes weight = exp(broadcast(args.sinks[head] - args.log_sum_exp[at]));
      sum -= sum_of(weight) / static_cast<float>(kLanes) *
             dot(args.dout + at * args.v_dim, args.out + at * args.v_dim, args.v_dim);
    }
    dsinks[head] = sum;
  }
}
