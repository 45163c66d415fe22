// Routing to experts, the weighted sum of their outputs, and small matmuls per head. Included inside the namespace of
// an instruction set.
namespace {

// The index of the largest value not taken yet; ties go to the lower index. In range whatever the values are.
STRATA_INLINE int take_largest(float* values, int n) {
  int best = 0;
  for (int i = 1; i < n; ++i) {
    if (values[i] > values[best]) best = i;
  }
  values[best] = -__builtin_inff();
  return best;
}

// Experts outside the best groups are out of the choice. A group is as good as its best or its two best experts.
STRATA_INLINE void drop_worst_groups(const RouteArgs& args, float* choice) {
  const int per_group = args.n_experts / args.n_groups;
  float quality[kMaxExperts];
  bool kept[kMaxExperts];
  for (int g = 0; g < args.n_groups; ++g) {
    const float* group = choice + g * per_group;
    float best = group[0], second = per_group > 1 ? -__builtin_inff() : 0.0f;
    for (int i = 1; i < per_group; ++i) {
      const float v = group[i];
      second = v > best ? best : (v > second ? v : second);
      best = v > best ? v : best;
    }
    quality[g] = args.n_group_best > 1 ? best + second : best;
    kept[g] = false;
  }
  for (int i = 0; i < args.n_groups_used; ++i) kept[take_largest(quality, args.n_groups)] = true;
  for (int e = 0; e < args.n_experts; ++e) {
    if (!kept[e / per_group]) choice[e] = -__builtin_inff();
  }
}

STRATA_INLINE void route_row(const RouteArgs& args, const float* logits, int32_t* ids, float* weights) {
  float scores[kMaxExperts], choice[kMaxExperts];
  const int n = args.n_experts, used = args.n_used;
  if (args.score == RouteArgs::Score::kSoftmax) softmax(scores, logits, 1, n);
  if (args.score == RouteArgs::Score::kSigmoid) activate(Activation::kSigmoid, scores, logits, n);
  if (args.score == RouteArgs::Score::kSoftmaxOfChosen) scale(scores, logits, 1.0f, n);
  for (int e = 0; e < n; ++e) choice[e] = scores[e] + (args.bias == nullptr ? 0.0f : args.bias[e]);
  if (args.n_groups > 1) drop_worst_groups(args, choice);
  for (int r = 0; r < used; ++r) {
    ids[r] = take_largest(choice, n);
    weights[r] = scores[ids[r]];
  }
  if (args.score == RouteArgs::Score::kSoftmaxOfChosen) softmax(weights, weights, 1, used);
  if (args.normalize) {
    float sum = 1e-20f;
    for (int r = 0; r < used; ++r) sum += weights[r];
    for (int r = 0; r < used; ++r) weights[r] /= sum;
  }
  for (int r = 0; r < used; ++r) weights[r] *= args.scale;
}

STRATA_INLINE void route_grad_row(const RouteArgs& args, const float* logits, const int32_t* ids, const float* dweights,
                                  float* dlogits) {
  float scores[kMaxExperts], d[kMaxExperts];
  const int n = args.n_experts, used = args.n_used;
  const bool of_chosen = args.score == RouteArgs::Score::kSoftmaxOfChosen;
  if (args.score == RouteArgs::Score::kSoftmax) softmax(scores, logits, 1, n);
  if (args.score == RouteArgs::Score::kSigmoid) activate(Activation::kSigmoid, scores, logits, n);
  if (of_chosen) {
    float chosen[kMaxExperts];
    for (int r = 0; r < used; ++r) chosen[r] = logits[ids[r]];
    softmax(chosen, chosen, 1, used);
    for (int r = 0; r < used; ++r) scores[ids[r]] = chosen[r];
  }
  float sum = 0, along = 0;
  for (int r = 0; r < used; ++r) {
    d[r] = dweights[r] * args.scale;
    sum += scores[ids[r]];
    along += scores[ids[r]] * d[r];
  }
  if (args.normalize || of_chosen) {
    for (int r = 0; r < used; ++r) d[r] = (d[r] - along / sum) / sum;
    along = 0;
  }
  const bool of_all = args.score == RouteArgs::Score::kSoftmax;
  for (int e = 0; e < n; ++e) dlogits[e] = of_all ? -scores[e] * along : 0.0f;
  for (int r = 0; r < used; ++r) {
    const float s = scores[ids[r]];
    dlogits[ids[r]] += (args.score == RouteArgs::Score::kSigmoid ? s * (1.0f - s) : s) * d[r];
  }
}

// One dot product per (row, output): lanes hold k, and end in the fixed tree.
template <int rows, int outputs>
STRATA_INLINE void head_tile(float* y, int64_t y_stride, const float* x, int64_t x_stride, const float* w, int64_t k) {
  Lanes sums[rows][outputs];
  STRATA_UNROLL
  for (int i = 0; i < rows; ++i) {
    STRATA_UNROLL
    for (int j = 0; j < outputs; ++j) sums[i][j] = broadcast(0);
  }
  for (int64_t c = 0; c < k; c += kLanes) {
    const int64_t n = k - c < kLanes ? k - c : kLanes;
    Lanes weights[outputs];
    STRATA_UNROLL
    for (int j = 0; j < outputs; ++j) weights[j] = load_first(w + j * k + c, n);
    STRATA_UNROLL
    for (int i = 0; i < rows; ++i) {
      const Lanes v = load_first(x + i * x_stride + c, n);
      STRATA_UNROLL
      for (int j = 0; j < outputs; ++j) sums[i][j] = multiply_add(v, weights[j], sums[i][j]);
    }
  }
  STRATA_UNROLL
  for (int i = 0; i < rows; ++i) {
    STRATA_UNROLL
    for (int j = 0; j < outputs; ++j) y[i * y_stride + j] = sum_of(sums[i][j]);
  }
}

}  // namespace

void route(const RouteArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    route_row(args, args.logits + row * args.n_experts, args.ids + row * args.n_used, args.weights + row * args.n_used);
  }
}

void combine(float* out, const float* y, const float* weights, int64_t dim, int n_used, int64_t row_begin,
             int64_t row_end) {
  for (int64_t t = row_begin; t < row_end; ++t) {
    const float* rows = y + t * n_used * dim;
    row_map(out + t * dim, dim, [&](int64_t j, int64_t n) {
      Lanes sum = load_first(rows + j, n) * broadcast(weights[t * n_used]);
      for (int r = 1; r < n_used; ++r) {
        sum = multiply_add(load_first(rows + r * dim + j, n), broadcast(weights[t * n_used + r]), sum);
      }
      return sum;
    });
  }
}

void combine_grad(float* dy, float* dweights, const float* dout, const float* y, const float* weights, int64_t dim,
                  int n_used, int64_t row_begin, int64_t row_end) {
  for (int64_t i = row_begin * n_used; i < row_end * n_used; ++i) {
    const float* d = dout + i / n_used * dim;
    dweights[i] = dot(d, y + i * dim, dim);
    scale(dy + i * dim, d, weights[i], dim);
  }
}

void route_grad(float* dlogits, const float* dweights, const RouteArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    route_grad_row(args, args.logits + row * args.n_experts, args.ids + row * args.n_used,
                   dweights + row * args.n_used, dlogits + row * args.n_experts);
  }
}

// Heads outside, so that the weights of a head serve all rows of the call while they are in the cache.
void head_matmul(float* y, const float* x, const float* w, int n_heads, int64_t n, int64_t k, int64_t row_begin,
                 int64_t row_end) {
  constexpr int kTile = kMaxTileRows >= 4 ? 4 : 1;
  const int64_t x_stride = n_heads * k, y_stride = n_heads * n;
  for (int h = 0; h < n_heads; ++h) {
    for (int64_t j = 0; j < n;) {
      const bool wide = j + kTile <= n;
      const float* weights = w + (h * n + j) * k;
      for (int64_t i = row_begin; i < row_end;) {
        const bool tall = i + kTile <= row_end;
        float* to = y + i * y_stride + h * n + j;
        const float* from = x + i * x_stride + h * k;
        if (tall && wide) head_tile<kTile, kTile>(to, y_stride, from, x_stride, weights, k);
        if (tall && !wide) head_tile<kTile, 1>(to, y_stride, from, x_stride, weights, k);
        if (!tall && wide) head_tile<1, kTile>(to, y_stride, from, x_stride, weights, k);
        if (!tall && !wide) head_tile<1, 1>(to, y_stride, from, x_stride, weights, k);
        i += tall ? kTile : 1;
      }
      j += wide ? kTile : 1;
    }
  }
}
