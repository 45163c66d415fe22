// Attention over flat segments. Included inside the namespace of an instruction set, after
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

STRATA_INLINE int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }

// keys[d * to_stride + t] = number d of token t, for 16 tokens, zero for those that do not exist. `stride`: numbers
// between tokens.
STRATA_INLINE void pack_keys(const float* k, int64_t stride, int k_dim, int64_t n_tokens, float* keys,
                             int64_t to_stride) {
  for (int64_t d = 0; d < k_dim; d += kLanes) {
    const int64_t n = smaller_of(k_dim - d, kLanes);
    Lanes rows[kLanes];
    for (int64_t t = 0; t < kLanes; ++t) rows[t] = t < n_tokens ? load_first(k + t * stride + d, n) : broadcast(0);
    transpose(rows);
    for (int64_t i = 0; i < n; ++i) store(keys + (d + i) * to_stride, rows[i]);
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
                smaller_of(left, kBlockTokens), keys, kLanes);
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
  start_item<float>(cached, item, state, [&](int position) {
    if (args.causal) return Visible{args.window > 0 ? position - args.window + 1 : 0, position};
    if (args.window == 0) return Visible{0, last};
    return Visible{position - reach, position + reach < last ? position + reach : last};
  });
  walk_context(cached, state,
               [&](int base, int last_position) { return segment_step(args, item, base, last_position, packed); });
  finish_item(cached, item, state);
}

}  // namespace

int64_t segment_attention_items(const SegmentAttentionArgs& args) { return attention_items(as_cached(args)); }

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
