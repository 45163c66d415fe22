// What a teacher says of a row, and the loss against it. Included inside the namespace of an instruction set, after
// norm.inl.
namespace {

constexpr float kLeastProbability = 1e-30f;  // smaller ones are taken for this one by logarithms

STRATA_INLINE float log_of(float probability) {
  return log(probability > kLeastProbability ? probability : kLeastProbability);
}

STRATA_INLINE float exp_of(float x) { return sum_of(exp(broadcast(x))) / static_cast<float>(kLanes); }

// sum e^((x - largest) * factor)
STRATA_INLINE float sum_exp(const float* x, int64_t dim, float largest, float factor) {
  return row_sum(dim, [&](int64_t j, int64_t n) {
    const Lanes v = exp((load_first(x + j, n) - broadcast(largest)) * broadcast(factor));
    return n == kLanes ? v : select(less(lane_numbers(), broadcast(static_cast<float>(n))), v, broadcast(0));
  });
}

// The k largest of x, largest first; of equal ones the first comes first.
STRATA_INLINE void find_largest(int32_t* ids, float* values, const float* x, int64_t dim, int64_t k) {
  int64_t found = 0;
  for (int64_t j = 0; j < dim; ++j) {
    if (found == k && !(x[j] > values[k - 1])) continue;
    int64_t at = found < k ? found++ : k - 1;
    for (; at > 0 && x[j] > values[at - 1]; --at) {
      values[at] = values[at - 1];
      ids[at] = ids[at - 1];
    }
    values[at] = x[j];
    ids[at] = static_cast<int32_t>(j);
  }
}

// Of softmax(logits / temperature) where the logits of the tokens `ids` have been taken away and are `taken`.
struct Shares {
  float largest, factor, sum, others;  // others: of all that are not taken; summed apart, so exact where it is small

  float of(float logit) const { return exp_of((logit - largest) * factor) / sum; }
  float log_sum_exp() const { return log(sum) + largest * factor; }
};

STRATA_INLINE Shares take_away(float* taken, float* logits, const int32_t* ids, int64_t vocab, int64_t k, float largest,
                               float temperature) {
  Shares s{largest, 1.0f / temperature, 0, 0};
  for (int64_t i = 0; i < k; ++i) {
    taken[i] = logits[ids[i]];
    logits[ids[i]] = -__builtin_inff();
  }
  const float others = sum_exp(logits, vocab, largest, s.factor);
  s.sum = others + sum_exp(taken, k, largest, s.factor);
  s.others = others / s.sum;
  return s;
}

// What an outcome adds to the divergence, and the slope of that by q where it is not the forward one.
struct Apart {
  float part, slope;
};

STRATA_INLINE Apart apart(float p, float q, float beta) {
  if (beta == 0.0f) return {p * (log_of(p) - log_of(q)), 0};
  if (beta == 1.0f) {
    const float slope = log_of(q) - log_of(p);
    return {q * slope, slope};
  }
  const float m = log_of(beta * p + (1.0f - beta) * q), slope = (1.0f - beta) * (log_of(q) - m);
  return {beta * p * (log_of(p) - m) + q * slope, slope};
}

}  // namespace

void top_probabilities(const TopProbabilitiesArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* logits = args.logits + row * args.vocab;
    int32_t* ids = args.ids + row * args.k;
    float* p = args.probabilities + row * (args.k + 1);
    find_largest(ids, p, logits, args.vocab, args.k);
    const Shares shares = take_away(p, logits, ids, args.vocab, args.k, p[0], args.temperature);
    for (int64_t i = 0; i < args.k; ++i) p[i] = shares.of(p[i]);
    p[args.k] = shares.others;
  }
}

void distill(const DistillArgs& args, int64_t row_begin, int64_t row_end) {
  const int64_t k = args.k;
  const float beta = args.beta;
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* logits = args.logits + row * args.vocab;
    const int32_t* ids = args.ids + row * k;
    const float* p = args.probabilities + row * (k + 1);
    float* record = args.record + row * (3 + k);
    float* q = record + 3;
    const int32_t target = args.targets[row];
    const float weight = args.weights == nullptr ? 1.0f : args.weights[row];
    if (target < 0) {
      args.loss[row] = args.divergence[row] = 0;
      clear(record, 3 + k);
      if (args.dlogits != nullptr) clear(logits, args.vocab);
      continue;
    }
    const float largest = row_max(logits, args.vocab), at_target = logits[target];
    const float log_sum = log(sum_exp(logits, args.vocab, largest, 1.0f)) + largest;
    const Shares shares = take_away(q, logits, ids, args.vocab, k, largest, args.temperature);
    for (int64_t i = 0; i < k; ++i) {
      logits[ids[i]] = exp_of(q[i] - log_sum);  // kept there: at temperature 1
      q[i] = shares.of(q[i]);
    }
    record[0] = log_sum;
    record[1] = shares.log_sum_exp();
    const float others = shares.others;
    const Apart rest = apart(p[k], others, beta);
    float divergence = rest.part, mean_slope = others * rest.slope;
    for (int64_t i = 0; i < k; ++i) {
      const Apart here = apart(p[i], q[i], beta);
      divergence += here.part;
      mean_slope += q[i] * here.slope;
    }
    const float share = args.shares == nullptr ? args.share : args.shares[row];
    const float keep = 1.0f - share, factor = share * args.temperature;
    args.loss[row] = (keep * (log_sum - at_target) + factor * args.temperature * divergence) * weight;
    args.divergence[row] = divergence * weight;
    record[2] = beta == 0.0f ? 1.0f - p[k] / (others > kLeastProbability ? others : kLeastProbability)
                             : rest.slope - mean_slope;
    for (int64_t i = 0; i < k; ++i) {
      const float g = beta == 0.0f ? q[i] - p[i] : q[i] * (apart(p[i], q[i], beta).slope - mean_slope);
      q[i] = keep * logits[ids[i]] + factor * g;
    }
    if (args.dlogits == nullptr) continue;
    distill_columns({.z = logits, .record = record, .ids = ids, .targets = args.targets + row,
                     .weights = args.weights == nullptr ? nullptr : args.weights + row, .n = args.vocab, .first = 0,
                     .k = k, .temperature = args.temperature, .share = share, .scale = args.scale}, 0, 1);
  }
}

void distill_columns(const DistillColumnsArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float share = args.shares == nullptr ? args.share : args.shares[row], keep = 1.0f - share;
    float* z = args.z + row * args.n;
    const float* record = args.record + row * (3 + args.k);
    const int32_t target = args.targets[row];
    if (target < 0) {
      clear(z, args.n);
      continue;
    }
    const float scale = args.scale * (args.weights == nullptr ? 1.0f : args.weights[row]);
    const Lanes sum = broadcast(record[0]), warm_sum = broadcast(record[1]), factor = broadcast(1.0f / args.temperature);
    const Lanes plain = broadcast(keep * scale), warm = broadcast(share * args.temperature * record[2] * scale);
    row_map(z, args.n, [&](int64_t j, int64_t m) {
      const Lanes v = load_first(z + j, m);
      return exp(v - sum) * plain + exp(v * factor - warm_sum) * warm;
    });
    for (int64_t i = 0; i < args.k; ++i) {
      const int64_t at = args.ids[row * args.k + i] - args.first;
      if (at >= 0 && at < args.n) z[at] = record[3 + i] * scale;
    }
    const int64_t at = target - args.first;
    if (at >= 0 && at < args.n) z[at] -= keep * scale;
  }
}
