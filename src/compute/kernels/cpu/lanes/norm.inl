// Norms, softmax and the gradients of rms_norm, a row at a time. Included inside the namespace of an instruction set.
namespace {

STRATA_INLINE float inverse_rms(const float* x, int64_t dim, float eps) {
  const float sum = row_sum(dim, [&](int64_t j, int64_t n) {
    const Lanes v = load_first(x + j, n);
    return v * v;
  });
  return 1.0f / square_root(sum / static_cast<float>(dim) + eps);
}

STRATA_INLINE float row_max(const float* x, int64_t dim) {
  Lanes largest = broadcast(-__builtin_inff());
  int64_t j = 0;
  for (; j + kLanes <= dim; j += kLanes) largest = max(load(x + j), largest);
  float result = max_of(largest);
  for (; j < dim; ++j) result = x[j] > result ? x[j] : result;
  return result;
}

// y = e^(x - largest); returns the sum.
STRATA_INLINE float exp_row(float* y, const float* x, int64_t dim, float largest) {
  Lanes sum = broadcast(0);
  int64_t j = 0;
  for (; j < dim; j += kLanes) {
    const int64_t n = dim - j < kLanes ? dim - j : kLanes;
    const Lanes e = exp(load_first(x + j, n) - broadcast(largest));
    store_first(y + j, e, n);
    sum = sum + (n == kLanes ? e : select(less(lane_numbers(), broadcast(static_cast<float>(n))), e, broadcast(0)));
  }
  return sum_of(sum);
}

}  // namespace

void rms_norm(float* y, const float* x, const float* w, int64_t rows, int64_t dim, float eps, float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, y += dim) {
    const Lanes r = broadcast(inverse_rms(x, dim, eps));
    if (w == nullptr) {
      row_map(y, dim, [&](int64_t j, int64_t n) { return load_first(x + j, n) * r; });
    } else if (w_offset == 0) {
      row_map(y, dim, [&](int64_t j, int64_t n) { return load_first(x + j, n) * r * load_first(w + j, n); });
    } else {
      const Lanes offset = broadcast(w_offset);
      row_map(y, dim, [&](int64_t j, int64_t n) { return load_first(x + j, n) * r * (load_first(w + j, n) + offset); });
    }
  }
}

void layer_norm(float* y, const float* x, const float* w, const float* b, int64_t rows, int64_t dim, float eps,
                float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, y += dim) {
    const float count = static_cast<float>(dim);
    const float mean = row_sum(dim, [&](int64_t j, int64_t n) { return load_first(x + j, n); }) / count;
    const float variance = row_sum(dim, [&](int64_t j, int64_t n) {
      const Lanes d = load_first(x + j, n) - broadcast(mean);
      return n == kLanes ? d * d : select(less(lane_numbers(), broadcast(static_cast<float>(n))), d * d, broadcast(0));
    }) / count;
    const float r = 1.0f / square_root(variance + eps);
    row_map(y, dim, [&](int64_t j, int64_t n) {
      Lanes v = (load_first(x + j, n) - broadcast(mean)) * broadcast(r);
      if (w != nullptr) v = v * (w_offset == 0 ? load_first(w + j, n) : load_first(w + j, n) + broadcast(w_offset));
      if (b != nullptr) v = v + load_first(b + j, n);
      return v;
    });
  }
}

void softmax(float* y, const float* x, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i, x += dim, y += dim) {
    const float sum = exp_row(y, x, dim, row_max(x, dim));
    row_map(y, dim, [&](int64_t j, int64_t n) { return load_first(y + j, n) / broadcast(sum); });
  }
}

// dx = r * (g - x * r^2 * mean(g * x)), g = dy * (w + w_offset).
void rms_norm_dx(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim, float eps,
                 float w_offset) {
  for (int64_t i = 0; i < rows; ++i, x += dim, dy += dim, dx += dim) {
    const float r = inverse_rms(x, dim, eps);
    const auto g = [&](int64_t j, int64_t n) {
      const Lanes d = load_first(dy + j, n);
      return w == nullptr ? d : d * (load_first(w + j, n) + broadcast(w_offset));
    };
    const float along_x = row_sum(dim, [&](int64_t j, int64_t n) { return g(j, n) * load_first(x + j, n); });
    const Lanes projection = broadcast(along_x / static_cast<float>(dim) * r * r);
    row_map(dx, dim, [&](int64_t j, int64_t n) {
      return broadcast(r) * (g(j, n) - load_first(x + j, n) * projection);
    });
  }
}

void rms_norm_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t dim, float eps, int64_t dim_begin,
                 int64_t dim_end) {
  for (int64_t i = 0; i < rows; ++i, x += dim, dy += dim) {
    const Lanes r = broadcast(inverse_rms(x, dim, eps));
    row_map(dw + dim_begin, dim_end - dim_begin, [&](int64_t j, int64_t n) {
      const Lanes scaled = load_first(x + dim_begin + j, n) * r;
      return load_first(dw + dim_begin + j, n) + load_first(dy + dim_begin + j, n) * scaled;
    });
  }
}

void cross_entropy(const CrossEntropyArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* logits = args.logits + row * args.vocab;
    float* dlogits = args.dlogits == nullptr ? nullptr : args.dlogits + row * args.vocab;
    const int32_t target = args.targets[row];
    const float weight = args.weights == nullptr ? 1.0f : args.weights[row];
    if (target < 0) {
      args.loss[row] = 0;
      if (args.log_sum_exp != nullptr) args.log_sum_exp[row] = 0;
      if (dlogits != nullptr) row_map(dlogits, args.vocab, [](int64_t, int64_t) { return broadcast(0); });
      continue;
    }
    const float largest = row_max(logits, args.vocab), at_target = logits[target];
    const float sum = row_sum(args.vocab, [&](int64_t j, int64_t n) {
      const Lanes e = exp_of_negative(load_first(logits + j, n) - broadcast(largest));
      if (dlogits != nullptr) store_first(dlogits + j, e, n);
      return n == kLanes ? e : select(less(lane_numbers(), broadcast(static_cast<float>(n))), e, broadcast(0));
    });
    args.loss[row] = (log(sum) + (largest - at_target)) * weight;
    if (args.log_sum_exp != nullptr) args.log_sum_exp[row] = log(sum) + largest;
    if (dlogits == nullptr) continue;
    const float probability_of_target = sum_of(exp(broadcast(at_target - largest))) / static_cast<float>(kLanes) / sum;
    const Lanes factor = broadcast(args.scale * weight / sum);
    row_map(dlogits, args.vocab, [&](int64_t j, int64_t n) { return load_first(dlogits + j, n) * factor; });
    dlogits[target] = (probability_of_target - 1.0f) * (args.scale * weight);
  }
}

void cross_entropy_columns(const CrossEntropyColumnsArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* z = args.z + row * args.n;
    const int32_t target = args.targets[row];
    if (target < 0) {
      row_map(z, args.n, [](int64_t, int64_t) { return broadcast(0); });
      continue;
    }
    const float scale = args.scale * (args.weights == nullptr ? 1.0f : args.weights[row]);
    const Lanes lse = broadcast(args.log_sum_exp[row]), factor = broadcast(scale);
    row_map(z, args.n, [&](int64_t j, int64_t m) { return exp(load_first(z + j, m) - lse) * factor; });
    const int64_t at = target - args.first;
    if (at >= 0 && at < args.n) z[at] -= scale;
  }
}
