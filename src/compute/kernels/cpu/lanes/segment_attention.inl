// Attention of training over flat segments, and its gradient, sixteen keys at a time. Included inside the namespace of
// an instruction set.
namespace {

// The tokens [begin, end) and the heads [head_begin, head_end) that read one kv head.
struct SegmentPiece {
  int64_t begin, end;
  int kv_head, head_begin, head_end;
};

STRATA_INLINE SegmentPiece segment_piece(const SegmentAttentionArgs& args, int64_t item) {
  const int64_t segment = item / args.n_kv_heads;
  const int kv_head = static_cast<int>(item % args.n_kv_heads), group = args.n_heads / args.n_kv_heads;
  return {args.segment_begin[segment], args.segment_begin[segment + 1], kv_head, kv_head * group,
          (kv_head + 1) * group};
}

STRATA_INLINE int64_t first_visible(const SegmentAttentionArgs& args, const SegmentPiece& piece, int64_t query) {
  const int64_t first = args.window > 0 ? query - args.window + 1 : piece.begin;
  return first > piece.begin ? first : piece.begin;
}

// Scores of one query with the keys [first, first + n), n <= 16; -inf in the lanes beyond.
STRATA_INLINE Lanes segment_scores(const SegmentAttentionArgs& args, const float* q, int kv_head, int64_t first,
                                   int64_t n) {
  float scores[kLanes];
  for (int64_t t = 0; t < kLanes; ++t) {
    const float* k = args.k + ((first + t) * args.n_kv_heads + kv_head) * args.k_dim;
    scores[t] = t < n ? args.scale * dot(q, k, args.k_dim) : -__builtin_inff();
  }
  const Lanes raw = load(scores);
  if (args.softcap <= 0) return raw;
  const Lanes capped = tanh(raw / broadcast(args.softcap)) * broadcast(args.softcap);
  return select(less(lane_numbers(), broadcast(static_cast<float>(n))), capped, raw);
}

void attend_segment(const SegmentAttentionArgs& args, const SegmentPiece& piece, int64_t query, int head) {
  const float* q = args.q + (query * args.n_heads + head) * args.k_dim;
  float* out = args.out + (query * args.n_heads + head) * args.v_dim;
  clear(out, args.v_dim);
  float largest = -__FLT_MAX__;
  Lanes sum = broadcast(0);
  for (int64_t key = first_visible(args, piece, query); key <= query; key += kLanes) {
    const int64_t n = query + 1 - key < kLanes ? query + 1 - key : kLanes;
    const Lanes scores = segment_scores(args, q, piece.kv_head, key, n);
    const float now = max_of(max(scores, broadcast(largest)));
    const Lanes correction = exp(broadcast(largest - now)), weights = exp(scores - broadcast(now));
    sum = multiply_add(sum, correction, weights);
    largest = now;
    float w[kLanes];
    store(w, weights);
    row_map(out, args.v_dim, [&](int64_t j, int64_t m) {
      Lanes v = load_first(out + j, m) * correction;
      for (int64_t t = 0; t < n; ++t) {
        const float* value_row = args.v + ((key + t) * args.n_kv_heads + piece.kv_head) * args.v_dim;
        v = multiply_add(broadcast(w[t]), load_first(value_row + j, m), v);
      }
      return v;
    });
  }
  const float total = sum_of(sum);
  scale(out, out, 1.0f / total, args.v_dim);
  args.log_sum_exp[query * args.n_heads + head] = largest + log(total);
}

// Writes dq of one query of one head and adds its share to dk and dv of the piece.
//   p = exp(s - lse), dp = dout . v, ds = p * (dp - dout . out), and through the softcap ds *= 1 - (s / cap)^2.
void attend_segment_grad(const SegmentAttentionGradArgs& args, const SegmentPiece& piece, int64_t query, int head) {
  const SegmentAttentionArgs& f = args.forward;
  const int64_t at = query * f.n_heads + head;
  const float *q = f.q + at * f.k_dim, *dout = args.dout + at * f.v_dim;
  float* dq = args.dq + at * f.k_dim;
  clear(dq, f.k_dim);
  const float along_out = dot(dout, f.out + at * f.v_dim, f.v_dim);
  for (int64_t key = first_visible(f, piece, query); key <= query; key += kLanes) {
    const int64_t n = query + 1 - key < kLanes ? query + 1 - key : kLanes;
    const Lanes scores = segment_scores(f, q, piece.kv_head, key, n);
    const Lanes p = exp(scores - broadcast(f.log_sum_exp[at]));
    float dp[kLanes] = {}, weights[kLanes], ds[kLanes];
    for (int64_t t = 0; t < n; ++t) {
      dp[t] = dot(dout, f.v + ((key + t) * f.n_kv_heads + piece.kv_head) * f.v_dim, f.v_dim) - along_out;
    }
    Lanes slopes = p * load(dp) * broadcast(f.scale);
    if (f.softcap > 0) {
      const Lanes ratio = scores / broadcast(f.softcap);
      slopes = slopes * (broadcast(1) - ratio * ratio);
    }
    store(weights, p);
    store(ds, slopes);
    for (int64_t t = 0; t < n; ++t) {
      const int64_t key_row = (key + t) * f.n_kv_heads + piece.kv_head;
      add_scaled(dq, f.k + key_row * f.k_dim, ds[t], f.k_dim);
      add_scaled(args.dk + key_row * f.k_dim, q, ds[t], f.k_dim);
      add_scaled(args.dv + key_row * f.v_dim, dout, weights[t], f.v_dim);
    }
  }
}

}  // namespace

int64_t segment_attention_items(const SegmentAttentionArgs& args) {
  return static_cast<int64_t>(args.n_segments) * args.n_kv_heads;
}

void segment_attention(const SegmentAttentionArgs& args, int64_t item_begin, int64_t item_end) {
  for (int64_t item = item_begin; item < item_end; ++item) {
    const SegmentPiece piece = segment_piece(args, item);
    for (int64_t query = piece.begin; query < piece.end; ++query) {
      for (int head = piece.head_begin; head < piece.head_end; ++head) attend_segment(args, piece, query, head);
    }
  }
}

void segment_attention_grad(const SegmentAttentionGradArgs& args, int64_t item_begin, int64_t item_end) {
  const SegmentAttentionArgs& f = args.forward;
  for (int64_t item = item_begin; item < item_end; ++item) {
    const SegmentPiece piece = segment_piece(f, item);
    for (int64_t token = piece.begin; token < piece.end; ++token) {
      clear(args.dk + (token * f.n_kv_heads + piece.kv_head) * f.k_dim, f.k_dim);
      clear(args.dv + (token * f.n_kv_heads + piece.kv_head) * f.v_dim, f.v_dim);
    }
    for (int64_t query = piece.begin; query < piece.end; ++query) {
      for (int head = piece.head_begin; head < piece.head_end; ++head) attend_segment_grad(args, piece, query, head);
    }
  }
}
