// Attention over flat segments, and its gradient. Included inside the namespace of an instruction set, after
// attention.inl, whose rows, tiles and arithmetic the forward pass shares: each step brings K into the layout of a cache
// block and reads V where it is.
namespace {

STRATA_INLINE AttentionArgs as_cached(const SegmentAttentionArgs& args) {
  AttentionArgs cached;
  cached.shape.type = DType::kF32;
  cached.shape.n_kv_heads = args.n_kv_heads;
  cached.shape.k_dim = args.k_dim;
  cached.shape.v_dim = args.v_dim;
  cached.q = args.q;
  cached.out = args.out;
  cached.log_sum_exp = args.log_sum_exp;
  cached.n_heads = args.n_heads;
  cached.scale = args.scale;
  cached.softcap = args.softcap;
  cached.sinks = args.sinks;
  cached.alibi = args.alibi;
  cached.n_sequences = args.n_segments;
  cached.query_begin = args.segment_begin;
  return cached;
}

// keys[d][t] = number d of token t, for 16 tokens, zero for those that do not exist. `stride`: numbers between tokens.
STRATA_INLINE void pack_keys(const float* k, int64_t stride, int k_dim, int64_t n_tokens, float* keys) {
  for (int64_t d = 0; d < k_dim; d += kLanes) {
    const int64_t n = k_dim - d < kLanes ? k_dim - d : kLanes;
    Lanes rows[kLanes];
    for (int64_t t = 0; t < kLanes; ++t) rows[t] = t < n_tokens ? load_first(k + t * stride + d, n) : broadcast(0);
    transpose(rows);
    for (int64_t i = 0; i < n; ++i) store(keys + (d + i) * kLanes, rows[i]);
  }
}

STRATA_INLINE Step<float> segment_step(const SegmentAttentionArgs& args, const Item& item, int base, int last_position,
                                       float* packed) {
  const int64_t begin = args.segment_begin[item.sequence], k_stride = static_cast<int64_t>(args.n_kv_heads) * args.k_dim;
  Step<float> step;
  step.base = base;
  step.n_tokens = last_position + 1 - base < kStep ? last_position + 1 - base : kStep;
  step.value_stride = static_cast<int64_t>(args.n_kv_heads) * args.v_dim;
  for (int b = 0; b < kStepBlocks; ++b) {
    const int64_t left = step.n_tokens - b * kBlockTokens;
    const int64_t first = begin + base + b * kBlockTokens;
    step.keys[b] = step.values[b] = nullptr;
    if (left > 0) {
      float* keys = packed + static_cast<int64_t>(b) * kBlockTokens * args.k_dim;
      pack_keys(args.k + first * k_stride + item.kv_head * args.k_dim, k_stride, args.k_dim,
                left < kBlockTokens ? left : kBlockTokens, keys);
      step.keys[b] = keys;
      step.values[b] = args.v + first * step.value_stride + item.kv_head * args.v_dim;
    }
    step.next_keys[b] = step.keys[b];
    step.next_values[b] = step.values[b];
  }
  return step;
}

STRATA_INLINE void attend_segment(const SegmentAttentionArgs& args, const AttentionArgs& cached, const Item& item,
                                  RowState& state, float* packed) {
  const int last = args.segment_begin[item.sequence + 1] - args.segment_begin[item.sequence] - 1;
  const int reach = args.window / 2;
  start_item(cached, item, state, [&](int position) {
    if (args.causal) return Visible{args.window > 0 ? position - args.window + 1 : 0, position};
    if (args.window == 0) return Visible{0, last};
    return Visible{position - reach, position + reach < last ? position + reach : last};
  });
  walk_context(cached, state,
               [&](int base, int last_position) { return segment_step(args, item, base, last_position, packed); });
  finish_item(cached, item, state);
}

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
  int64_t first = piece.begin;
  if (args.window > 0) first = args.causal ? query - args.window + 1 : query - args.window / 2;
  return first > piece.begin ? first : piece.begin;
}

STRATA_INLINE int64_t visible_end(const SegmentAttentionArgs& args, const SegmentPiece& piece, int64_t query) {
  if (args.causal) return query + 1;
  const int64_t end = args.window > 0 ? query + args.window / 2 + 1 : piece.end;
  return end < piece.end ? end : piece.end;
}

// Scores of one query with the keys [first, first + n), n <= 16; -inf in the lanes beyond.
STRATA_INLINE Lanes segment_scores(const SegmentAttentionArgs& args, const SegmentPiece& piece, const float* q,
                                   int head, int64_t first, int64_t n) {
  float scores[kLanes];
  for (int64_t t = 0; t < kLanes; ++t) {
    const float* k = args.k + ((first + t) * args.n_kv_heads + piece.kv_head) * args.k_dim;
    scores[t] = t < n ? args.scale * dot(q, k, args.k_dim) : -__builtin_inff();
  }
  Lanes raw = load(scores);
  if (args.alibi.slopes != nullptr) {
    const Lanes bias = alibi_bias(args.alibi, args.alibi.slopes[head], static_cast<int>(first - piece.begin));
    raw = multiply_add(bias, broadcast(args.scale), raw);
  }
  if (args.softcap <= 0) return raw;
  const Lanes capped = tanh(raw / broadcast(args.softcap)) * broadcast(args.softcap);
  return select(less(lane_numbers(), broadcast(static_cast<float>(n))), capped, raw);
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
  const int64_t end = visible_end(f, piece, query);
  for (int64_t key = first_visible(f, piece, query); key < end; key += kLanes) {
    const int64_t n = end - key < kLanes ? end - key : kLanes;
    const Lanes scores = segment_scores(f, piece, q, head, key, n);
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

int64_t segment_attention_items(const SegmentAttentionArgs& args) { return attention_items(as_cached(args)); }

size_t segment_attention_workspace(const SegmentAttentionArgs& args) {
  return attention_workspace(as_cached(args)) + static_cast<size_t>(kStep) * args.k_dim * sizeof(float);
}

void segment_attention(const SegmentAttentionArgs& args, int64_t item_begin, int64_t item_end, void* workspace) {
  const AttentionArgs cached = as_cached(args);
  const ItemSplit split = item_split(cached);
  RowState state;
  const size_t used = carve(cached, static_cast<char*>(workspace), state);
  auto* packed = reinterpret_cast<float*>(static_cast<char*>(workspace) + used);
  ItemCursor cursor;
  for (int64_t index = item_begin; index < item_end; ++index) {
    attend_segment(args, cached, item_at(cached, split, index, cursor), state, packed);
  }
}

int64_t segment_attention_grad_items(const SegmentAttentionArgs& args) {
  return static_cast<int64_t>(args.n_segments) * args.n_kv_heads;
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
