// Elementwise ops and the small sums of training. Included inside the namespace of an instruction set.
namespace {

constexpr float kSqrtTwoOverPi = 0.797884561f, kGeluCubic = 0.044715f, kSqrtHalf = 0.707106781f;

template <Activation activation>
STRATA_INLINE Lanes value(Lanes x) {
  const Lanes zero = broadcast(0), one = broadcast(1), half = broadcast(0.5f);
  if constexpr (activation == Activation::kSilu) return x / (one + exp(zero - x));
  if constexpr (activation == Activation::kGelu) return half * x * (one + erf(x * broadcast(kSqrtHalf)));
  if constexpr (activation == Activation::kGeluTanh) {
    const Lanes cubic = multiply_add(broadcast(kGeluCubic) * x * x, x, x);
    return half * x * (one + tanh(broadcast(kSqrtTwoOverPi) * cubic));
  }
  if constexpr (activation == Activation::kRelu) return max(x, zero);
  if constexpr (activation == Activation::kRelu2) return max(x, zero) * max(x, zero);
  if constexpr (activation == Activation::kSigmoid) return sigmoid(x);
  if constexpr (activation == Activation::kTanh) return tanh(x);
}

template <Activation activation>
STRATA_INLINE Lanes slope(Lanes x) {
  const Lanes zero = broadcast(0), one = broadcast(1), half = broadcast(0.5f);
  if constexpr (activation == Activation::kSilu) {
    const Lanes s = sigmoid(x);
    return s * multiply_add(x, one - s, one);
  }
  if constexpr (activation == Activation::kGelu) {
    const Lanes density = exp(zero - half * x * x) * broadcast(0.398942280f);  // 1 / sqrt(2 pi)
    return multiply_add(x, density, half * (one + erf(x * broadcast(kSqrtHalf))));
  }
  if constexpr (activation == Activation::kGeluTanh) {
    // Beyond 10 the slope is 0 or 1 to the last bit, but the square might overflow. NaN passes.
    x = min(broadcast(10), max(broadcast(-10), x));
    const Lanes square = x * x;
    const Lanes t = tanh(broadcast(kSqrtTwoOverPi) * multiply_add(broadcast(kGeluCubic) * square, x, x));
    const Lanes inner = broadcast(kSqrtTwoOverPi) * multiply_add(broadcast(3 * kGeluCubic), square, one);
    return multiply_add(half * x * (one - t * t), inner, half * (one + t));
  }
  if constexpr (activation == Activation::kRelu) return select(less(zero, x), one, zero);
  if constexpr (activation == Activation::kRelu2) return max(x, zero) * broadcast(2);
  if constexpr (activation == Activation::kSigmoid) {
    const Lanes s = sigmoid(x);
    return s * (one - s);
  }
  if constexpr (activation == Activation::kTanh) {
    const Lanes t = tanh(x);
    return one - t * t;
  }
}

// Calls f with the activation as a compile-time constant.
template <Activation a>
struct ActivationConstant {
  static constexpr Activation value = a;
};
template <class F>
STRATA_INLINE void with_activation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::kSilu: return f(ActivationConstant<Activation::kSilu>{});
    case Activation::kGelu: return f(ActivationConstant<Activation::kGelu>{});
    case Activation::kGeluTanh: return f(ActivationConstant<Activation::kGeluTanh>{});
    case Activation::kRelu: return f(ActivationConstant<Activation::kRelu>{});
    case Activation::kRelu2: return f(ActivationConstant<Activation::kRelu2>{});
    case Activation::kSigmoid: return f(ActivationConstant<Activation::kSigmoid>{});
    case Activation::kTanh: return f(ActivationConstant<Activation::kTanh>{});
  }
}

}  // namespace

void add(float* y, const float* a, const float* b, int64_t n) {
  row_map(y, n, [&](int64_t i, int64_t m) { return load_first(a + i, m) + load_first(b + i, m); });
}

void mul(float* y, const float* a, const float* b, int64_t n) {
  row_map(y, n, [&](int64_t i, int64_t m) { return load_first(a + i, m) * load_first(b + i, m); });
}

void scale(float* y, const float* x, float factor, int64_t n) {
  row_map(y, n, [&](int64_t i, int64_t m) { return load_first(x + i, m) * broadcast(factor); });
}

void clamp(float* y, const float* x, float limit, int64_t n) {
  row_map(y, n, [&](int64_t i, int64_t m) {
    return min(broadcast(limit), max(broadcast(-limit), load_first(x + i, m)));
  });
}

void add_bias(float* y, const float* x, const float* b, int64_t rows, int64_t dim) {
  for (int64_t i = 0; i < rows; ++i) add(y + i * dim, x + i * dim, b, dim);
}

void activate(Activation activation, float* y, const float* x, int64_t n) {
  with_activation(activation, [&](auto a) {
    row_map(y, n, [&](int64_t i, int64_t m) { return value<decltype(a)::value>(load_first(x + i, m)); });
  });
}

void gated(Activation activation, float* y, const float* gate, const float* up, int64_t n) {
  with_activation(activation, [&](auto a) {
    row_map(y, n, [&](int64_t i, int64_t m) {
      return value<decltype(a)::value>(load_first(gate + i, m)) * load_first(up + i, m);
    });
  });
}

// min and max give their second operand where one is NaN: NaN passes.
void clamped_gated(float* y, const float* gate, const float* up, float alpha, float limit, int64_t n) {
  const Lanes high = broadcast(limit), low = broadcast(-limit), one = broadcast(1);
  row_map(y, n, [&](int64_t i, int64_t m) {
    const Lanes g = min(high, load_first(gate + i, m));
    const Lanes u = max(low, min(high, load_first(up + i, m)));
    return (u + one) * (g * sigmoid(broadcast(alpha) * g));
  });
}

void clamped_gated_grad(float* dgate, float* dup, const float* dy, const float* gate, const float* up, float alpha,
                        float limit, int64_t n) {
  const Lanes high = broadcast(limit), low = broadcast(-limit), one = broadcast(1), zero = broadcast(0);
  row_map(dgate, n, [&](int64_t i, int64_t m) {
    const Lanes d = load_first(dy + i, m), raw_gate = load_first(gate + i, m), raw_up = load_first(up + i, m);
    const Lanes g = min(high, raw_gate), u = max(low, min(high, raw_up));
    const Lanes s = sigmoid(broadcast(alpha) * g);
    const Lanes up_slope = select(less(high, raw_up), zero, select(less(raw_up, low), zero, g * s));
    store_first(dup + i, d * up_slope, m);
    const Lanes slope = s * multiply_add(broadcast(alpha) * g, one - s, one);
    return select(less(high, raw_gate), zero, d * (u + one) * slope);
  });
}

void activate_grad(Activation activation, float* dx, const float* dy, const float* x, int64_t n) {
  with_activation(activation, [&](auto a) {
    row_map(dx, n, [&](int64_t i, int64_t m) {
      return load_first(dy + i, m) * slope<decltype(a)::value>(load_first(x + i, m));
    });
  });
}

void gated_grad(Activation activation, float* dgate, float* dup, const float* dy, const float* gate, const float* up,
                int64_t n) {
  with_activation(activation, [&](auto a) {
    row_map(dgate, n, [&](int64_t i, int64_t m) {
      const Lanes d = load_first(dy + i, m), g = load_first(gate + i, m), u = load_first(up + i, m);
      store_first(dup + i, d * value<decltype(a)::value>(g), m);
      return d * u * slope<decltype(a)::value>(g);
    });
  });
}

void add_bias_grad(float* db, const float* dy, int64_t rows, int64_t dim, int64_t dim_begin, int64_t dim_end) {
  for (int64_t i = 0; i < rows; ++i) {
    add(db + dim_begin, db + dim_begin, dy + i * dim + dim_begin, dim_end - dim_begin);
  }
}

void embed_grad(float* dw, const float* dy, const int32_t* ids, int64_t tokens, int64_t dim, int32_t id_begin,
                int32_t id_end) {
  for (int64_t t = 0; t < tokens; ++t) {
    if (ids[t] < id_begin || ids[t] >= id_end) continue;
    add(dw + ids[t] * dim, dw + ids[t] * dim, dy + t * dim, dim);
  }
}

void from_activation(float* to, const void* from, int64_t n) {
  const auto* numbers = static_cast<const BFloat*>(from);
  row_map(to, n, [&](int64_t j, int64_t m) { return load_first(numbers + j, m); });
}
