// The gradient of attention over flat segments, in tiles of queries by keys: scores, and what joins them, are products of
// rows (outer_products.inl), so nothing of size tokens^2 is in memory. Included inside the namespace of an instruction
// set, after segment_attention.inl and outer_products.inl.
//
// What a tile multiplies is brought together first: rows of tokens, as far apart as all heads are long, fall on each
// other in the first-level cache.
//
// Blocks of keys begin at the segment's first token and blocks of queries at the first one that sees a block of keys:
// what is summed in which order depends on the segment alone.
namespace {

constexpr int64_t kGradKeys = 64;
constexpr int64_t kGradQueries = 48;

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

// The queries of the segment that see any of the keys [key, key_end) are within [first, end).
struct SeeingQueries {
  int64_t first, end;
};
STRATA_INLINE SeeingQueries seeing_queries(const SegmentAttentionArgs& args, const SegmentPiece& piece, int64_t key,
                                           int64_t key_end) {
  SeeingQueries seeing = {args.causal ? key : piece.begin, piece.end};
  if (args.window == 0) return seeing;
  const int64_t back = args.causal ? 0 : args.window / 2, ahead = args.causal ? args.window - 1 : args.window / 2;
  if (key - back > seeing.first) seeing.first = key - back;
  if (key_end + ahead < seeing.end) seeing.end = key_end + ahead;
  return seeing;
}

// What one thread needs: K and V of a block of keys with tokens as lanes, K as rows too, and the sums of both gradients;
// for a block of queries q and dout as rows, the probabilities and the gradients of the scores.
struct GradWorkspace {
  float *keys, *values;       // [k_dim][kGradKeys], [v_dim][kGradKeys]
  float *key_rows, *dk, *dv;  // [kGradKeys][k_dim], the same, [kGradKeys][v_dim]
  float *q, *dout;            // [kGradQueries][k_dim], [kGradQueries][v_dim]
  float *weights, *slopes;    // [kGradQueries][kGradKeys]
};

STRATA_INLINE int64_t grad_workspace_numbers(const SegmentAttentionArgs& args) {
  return (3 * args.k_dim + 2 * args.v_dim) * kGradKeys + (args.k_dim + args.v_dim + 2 * kGradKeys) * kGradQueries;
}

STRATA_INLINE GradWorkspace carve_grad(const SegmentAttentionArgs& args, void* workspace) {
  GradWorkspace w;
  w.keys = static_cast<float*>(workspace);
  w.values = w.keys + args.k_dim * kGradKeys;
  w.key_rows = w.values + args.v_dim * kGradKeys;
  w.dk = w.key_rows + args.k_dim * kGradKeys;
  w.dv = w.dk + args.k_dim * kGradKeys;
  w.q = w.dv + args.v_dim * kGradKeys;
  w.dout = w.q + args.k_dim * kGradQueries;
  w.weights = w.dout + args.v_dim * kGradQueries;
  w.slopes = w.weights + kGradQueries * kGradKeys;
  return w;
}

// One block of keys by one block of queries of one head.
struct GradTile {
  int64_t key, n_keys, query, n_queries;
  int head;
};

// Of one query and 16 keys from `key` on: scores q . k in, probabilities out; products dout . v in, gradients of the
// scores out.
//   p = exp(s - lse), ds = p * (dp - dout . out), and through the softcap ds *= 1 - (s / cap)^2.
STRATA_INLINE void to_slopes(const SegmentAttentionArgs& args, const SegmentPiece& piece, int head, int64_t query,
                             int64_t key, float along_out, float* weights, float* slopes) {
  Lanes score = load(weights) * broadcast(args.scale);
  if (args.alibi.slopes != nullptr) {
    const Lanes bias = alibi_bias(args.alibi, args.alibi.slopes[head], static_cast<int>(key - piece.begin));
    score = multiply_add(bias, broadcast(args.scale), score);
  }
  Lanes through = broadcast(args.scale);
  if (args.softcap > 0) {
    const Lanes bent = tanh(score / broadcast(args.softcap));
    score = bent * broadcast(args.softcap);
    through = through * (broadcast(1) - bent * bent);
  }
  const auto first = static_cast<float>(first_visible(args, piece, query) - key);
  const auto end = static_cast<float>(visible_end(args, piece, query) - key);
  const LaneMask seen = both(less_equal(broadcast(first), lane_numbers()), less(lane_numbers(), broadcast(end)));
  const Lanes lse = broadcast(args.log_sum_exp[query * args.n_heads + head]);
  const Lanes p = select(seen, exp(score - lse), broadcast(0));
  store(weights, p);
  store(slopes, select(seen, p * (load(slopes) - broadcast(along_out)) * through, broadcast(0)));
}

STRATA_INLINE void copy_rows(float* to, int64_t to_stride, const float* from, int64_t from_stride, int64_t rows,
                             int64_t dim) {
  for (int64_t i = 0; i < rows; ++i, to += to_stride, from += from_stride)
    row_map(to, dim, [&](int64_t j, int64_t n) { return load_first(from + j, n); });
}

STRATA_INLINE void add_tile(const SegmentAttentionGradArgs& args, const SegmentPiece& piece, const GradTile& t,
                            const GradWorkspace& w) {
  const SegmentAttentionArgs& f = args.forward;
  const int64_t q_stride = static_cast<int64_t>(f.n_heads) * f.k_dim, o_stride = static_cast<int64_t>(f.n_heads) * f.v_dim;
  copy_rows(w.q, f.k_dim, f.q + t.query * q_stride + t.head * f.k_dim, q_stride, t.n_queries, f.k_dim);
  copy_rows(w.dout, f.v_dim, args.dout + t.query * o_stride + t.head * f.v_dim, o_stride, t.n_queries, f.v_dim);
  const int64_t lanes = (t.n_keys + kLanes - 1) / kLanes * kLanes;
  clear(w.weights, t.n_queries * kGradKeys);
  clear(w.slopes, t.n_queries * kGradKeys);
  add_all_products({w.weights, kGradKeys, w.q, 1, f.k_dim, w.keys, kGradKeys, f.k_dim}, t.n_queries, lanes);
  add_all_products({w.slopes, kGradKeys, w.dout, 1, f.v_dim, w.values, kGradKeys, f.v_dim}, t.n_queries, lanes);
  for (int64_t i = 0; i < t.n_queries; ++i) {
    const float along_out = dot(w.dout + i * f.v_dim, f.out + (t.query + i) * o_stride + t.head * f.v_dim, f.v_dim);
    for (int64_t j = 0; j < lanes; j += kLanes) {
      to_slopes(f, piece, t.head, t.query + i, t.key + j, along_out, w.weights + i * kGradKeys + j,
                w.slopes + i * kGradKeys + j);
    }
  }
  float* dq = args.dq + t.query * q_stride + t.head * f.k_dim;
  add_all_products({dq, q_stride, w.slopes, 1, kGradKeys, w.key_rows, f.k_dim, t.n_keys}, t.n_queries, f.k_dim);
  add_all_products({w.dk, f.k_dim, w.slopes, kGradKeys, 1, w.q, f.k_dim, t.n_queries}, t.n_keys, f.k_dim);
  add_all_products({w.dv, f.v_dim, w.weights, kGradKeys, 1, w.dout, f.v_dim, t.n_queries}, t.n_keys, f.v_dim);
}

// K or V of a block of keys, tokens as lanes; zeros for tokens that do not exist.
STRATA_INLINE void pack_block(const float* from, int64_t stride, int dim, int64_t n_tokens, float* to) {
  for (int64_t t = 0; t < n_tokens; t += kLanes) {
    pack_keys(from + t * stride, stride, dim, smaller_of(n_tokens - t, kLanes), to + t, kGradKeys);
  }
}

// Sums of dq wait in memory for the next block of keys.
STRATA_INLINE void clear_dq(const SegmentAttentionGradArgs& args, const SegmentPiece& piece) {
  const SegmentAttentionArgs& f = args.forward;
  const int64_t group = piece.head_end - piece.head_begin;
  for (int64_t token = piece.begin; token < piece.end; ++token)
    clear(args.dq + (token * f.n_heads + piece.head_begin) * f.k_dim, group * f.k_dim);
}

void attend_segment_grad(const SegmentAttentionGradArgs& args, const SegmentPiece& piece, const GradWorkspace& w) {
  const SegmentAttentionArgs& f = args.forward;
  const int64_t k_stride = static_cast<int64_t>(f.n_kv_heads) * f.k_dim;
  const int64_t v_stride = static_cast<int64_t>(f.n_kv_heads) * f.v_dim;
  clear_dq(args, piece);
  for (int64_t key = piece.begin; key < piece.end; key += kGradKeys) {
    const int64_t n_keys = smaller_of(piece.end - key, kGradKeys);
    const int64_t k_at = key * k_stride + piece.kv_head * f.k_dim, v_at = key * v_stride + piece.kv_head * f.v_dim;
    pack_block(f.k + k_at, k_stride, f.k_dim, n_keys, w.keys);
    pack_block(f.v + v_at, v_stride, f.v_dim, n_keys, w.values);
    copy_rows(w.key_rows, f.k_dim, f.k + k_at, k_stride, n_keys, f.k_dim);
    clear(w.dk, n_keys * f.k_dim);
    clear(w.dv, n_keys * f.v_dim);
    const SeeingQueries seeing = seeing_queries(f, piece, key, key + n_keys);
    for (int64_t query = seeing.first; query < seeing.end; query += kGradQueries) {
      const int64_t n_queries = smaller_of(seeing.end - query, kGradQueries);
      // The last query of a block sees the most keys.
      const int64_t n_seen = smaller_of(n_keys, visible_end(f, piece, query + n_queries - 1) - key);
      for (int head = piece.head_begin; head < piece.head_end; ++head) {
        add_tile(args, piece, {key, n_seen, query, n_queries, head}, w);
      }
    }
    copy_rows(args.dk + k_at, k_stride, w.dk, f.k_dim, n_keys, f.k_dim);
    copy_rows(args.dv + v_at, v_stride, w.dv, f.v_dim, n_keys, f.v_dim);
  }
}

}  // namespace

size_t segment_attention_workspace(const SegmentAttentionArgs& args) {
  const size_t forward = attention_workspace(as_cached(args)) + static_cast<size_t>(kStep) * args.k_dim * sizeof(float);
  const size_t backward = static_cast<size_t>(grad_workspace_numbers(args)) * sizeof(float);
  return forward > backward ? forward : backward;
}

int64_t segment_attention_grad_items(const SegmentAttentionArgs& args) {
  return static_cast<int64_t>(args.n_segments) * args.n_kv_heads;
}

void segment_attention_grad(const SegmentAttentionGradArgs& args, int64_t item_begin, int64_t item_end,
                            void* workspace) {
  const GradWorkspace w = carve_grad(args.forward, workspace);
  for (int64_t item = item_begin; item < item_end; ++item) {
    attend_segment_grad(args, segment_piece(args.forward, item), w);
  }
}
