// What attention keeps for the rows of one work item: which queries and heads they are, their open partial and their
// total; how partials open, close, wait for each other and end. The arithmetic is told in attention.inl. Included inside
// the namespace of an instruction set, after attention_items.inl.
namespace {

constexpr int kStepBlocks = 4;
constexpr int kStep = kStepBlocks * kBlockTokens;
static_assert(kPartialTokens % kStep == 0 && kBlockTokens == kLanes);

// What a number of a step stands for: one of K or V, times an fp32 factor (q, or p); or a word of two neighbours that
// are multiplied together, of K along k_dim and of V along the positions, with a word of two factors.
template <class Number>
struct Factors {
  using Word = float;
  static constexpr int kSpan = 1;
};
template <>
struct Factors<BFloatPair> {
  using Word = BFloatPair;
  static constexpr int kSpan = 2;
};

// What quantized numbers are brought to.
template <bool pairs>
struct WordsOf {
  using Type = float;
};
template <>
struct WordsOf<true> {
  using Type = BFloatPair;
};
using DequantizedWord = WordsOf<kBFloatInPairs>::Type;

template <class Number>
constexpr int64_t words_of_row(int64_t k_dim) {
  return (k_dim + Factors<Number>::kSpan - 1) / Factors<Number>::kSpan;
}

// The state of the rows of an item, carved out of the workspace.
struct RowState {
  int n_rows = 0;
  int32_t* position;     // [rows] the last visible position
  int32_t* lowest;       // [rows] the first
  float* slope;          // [rows] of the row's head, 0 without alibi
  float* q;              // per tile of R rows: [k_dim / kSpan, rounded up][R] words, scaled
  float* largest;        // [rows]          of the open partial
  float* sum;            // [rows][kLanes]
  float* value;          // [rows][v_pad]
  float* total_largest;  // [rows]          of the closed ones
  float* total_sum;      // [rows]
  float* total_value;    // [rows][v_pad]
  float* weights;        // [kMaxTileRows][kStep] scores, then words of p, of one tile
  float* correction;     // [kMaxTileRows]
  float* step_values;    // [kStep][v_pad], only where values are cached as columns of K
  float* wide_keys;      // [kStepBlocks][k_dim][16], and wide_values [kStepBlocks][16][v_dim]: a step widened to fp32,
  float* wide_values;    // or to words, only of quantized caches, or where reading the type is dear
  int64_t v_pad;
};

// With a null base: counts the bytes.
STRATA_INLINE size_t carve(const AttentionArgs& args, char* base, RowState& state) {
  const int64_t rows = item_split(args).rows;
  size_t used = 0;
  const auto take = [&](int64_t numbers) {
    char* here = base == nullptr ? nullptr : base + used;
    used += static_cast<size_t>(numbers) * sizeof(float) + 63;
    used -= used % 64;
    return reinterpret_cast<float*>(here);
  };
  state.v_pad = padded(args.shape.v_dim);
  state.position = reinterpret_cast<int32_t*>(take(rows));
  state.lowest = reinterpret_cast<int32_t*>(take(rows));
  state.slope = take(rows);
  state.q = take(rows * args.shape.k_dim);
  state.largest = take(rows);
  state.sum = take(rows * kLanes);
  state.value = take(rows * state.v_pad);
  state.total_largest = take(rows);
  state.total_sum = take(rows);
  state.total_value = take(rows * state.v_pad);
  state.weights = take(kMaxTileRows * kStep);
  state.correction = take(kMaxTileRows);
  state.step_values = take(args.shape.value_is_key_prefix ? kStep * state.v_pad : 0);
  const DType type = args.shape.type;
  const bool widen = type == DType::kQ8_0 || type == DType::kQ4_0 || (type == DType::kF16 && !kHalfIsCheap) ||
                     (type == DType::kBF16 && !kBFloatInPairs);
  state.wide_keys = take(widen ? kStep * args.shape.k_dim : 0);
  state.wide_values = take(widen && !args.shape.value_is_key_prefix ? kStep * args.shape.v_dim : 0);
  return used;
}

STRATA_INLINE float as_bfloat16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  __builtin_memcpy(&x, &bits, sizeof(bits));
  return x;
}

// What joins the products of q with the keys at the positions from `first` on.
STRATA_INLINE Lanes alibi_bias(const Alibi& alibi, float slope, int first) {
  const Lanes positions = lane_numbers() + broadcast(static_cast<float>(first));
  if (!alibi.rounded) return broadcast(slope) * positions;
  float bias[kLanes];
  store(bias, positions);
  for (int t = 0; t < kLanes; ++t) bias[t] = as_bfloat16(slope * as_bfloat16(bias[t]));
  return load(bias);
}

// Width of the tile that begins at `row`: the rows left, rounded up to a power of two.
STRATA_INLINE int tile_rows(const RowState& state, int row) {
  const int left = state.n_rows - row;
  int rows = 1;
  while (rows < left && rows < kMaxTileRows) rows *= 2;
  return rows;
}

// Queries of other tiles are far apart in memory: asked for so many queries ahead.
constexpr int kQueriesAhead = 2;

struct Visible {
  int first, last;
};

// Words [begin, begin + 16) of a row of q.
STRATA_INLINE Lanes scaled_words(const float* q, int64_t dim, int64_t begin, float scale, float) {
  return load_first(q + begin, dim - begin < kLanes ? dim - begin : kLanes) * broadcast(scale);
}
template <class Word>
STRATA_INLINE Lanes scaled_words(const float* q, int64_t dim, int64_t begin, float scale, Word word) {
  const Lanes low = scaled_words(q, dim, 2 * begin, scale, 0.0f), zero = broadcast(0);
  return words_of(low, 2 * begin + kLanes < dim ? scaled_words(q, dim, 2 * begin + kLanes, scale, 0.0f) : zero, word);
}

// The rows of q of a tile of `width`, across: to[word][row]. Missing ones (null) are zero.
template <class Number>
STRATA_INLINE void pack_queries(const AttentionArgs& args, const float* const (&rows)[kMaxTileRows], int width,
                                float* to) {
  using Word = typename Factors<Number>::Word;
  const int64_t n_words = words_of_row<Number>(args.shape.k_dim);
  for (int64_t w = 0; w < n_words; w += kLanes) {
    Lanes words[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      const bool real = r < width && rows[r] != nullptr;
      words[r] = real ? scaled_words(rows[r], args.shape.k_dim, w, args.scale, Word{}) : broadcast(0);
    }
    transpose(words);
    for (int64_t i = 0; i < kLanes && w + i < n_words; ++i) store_first(to + (w + i) * width, words[i], width);
  }
}

// `visible` gives the positions that a query at a position sees. Rows that only fill up a tile are copies of the last row
// with q = 0; nobody reads their results.
template <class Number, class F>
STRATA_INLINE void start_item(const AttentionArgs& args, const Item& item, RowState& state, const F& visible) {
  state.n_rows = item.n_heads * item.n_queries;
  for (int row = 0; row < state.n_rows;) {
    const int width = tile_rows(state, row);
    const float* rows[kMaxTileRows] = {};
    for (int r = 0; r < width; ++r) {
      const bool real = row + r < state.n_rows;
      const int source = real ? row + r : state.n_rows - 1;
      const int query = source / item.n_heads, head = item.head_begin + source % item.n_heads;
      const float* q = args.q + ((item.row_begin + query) * args.n_heads + head) * args.shape.k_dim;
      if (real) rows[r] = q;
      const float* later = q + kQueriesAhead * static_cast<int64_t>(args.n_heads) * args.shape.k_dim;
      for (int d = 0; d < args.shape.k_dim; d += kLanes) __builtin_prefetch(later + d);
      const Visible seen = visible(item.first_position + query);
      state.position[row + r] = seen.last;
      state.lowest[row + r] = seen.first > 0 ? seen.first : 0;
      state.slope[row + r] = args.alibi.slopes == nullptr ? 0.0f : args.alibi.slopes[head];
      state.total_largest[row + r] = -__FLT_MAX__;
      state.total_sum[row + r] = 0;
      clear(state.total_value + (row + r) * state.v_pad, state.v_pad);
    }
    pack_queries<Number>(args, rows, width, state.q + row * words_of_row<Number>(args.shape.k_dim));
    row += width;
  }
}

STRATA_INLINE void open_partial(RowState& state) {
  const int rows = (state.n_rows + kMaxTileRows - 1) / kMaxTileRows * kMaxTileRows;
  for (int row = 0; row < rows; ++row) state.largest[row] = -__FLT_MAX__;
  clear(state.sum, static_cast<int64_t>(rows) * kLanes);
  clear(state.value, rows * state.v_pad);
}

// A closed partial of one row joins its total.
STRATA_INLINE void merge_partial(RowState& state, int row, float fresh, float fresh_sum, const float* value) {
  const float old = state.total_largest[row], now = fresh > old ? fresh : old;
  const Lanes keep = exp(broadcast(old - now)), take = exp(broadcast(fresh - now));
  state.total_largest[row] = now;
  const Lanes sum = broadcast(state.total_sum[row]) * keep + broadcast(fresh_sum) * take;
  store_first(state.total_sum + row, sum, 1);
  float* total = state.total_value + row * state.v_pad;
  row_map(total, state.v_pad, [&](int64_t j, int64_t) { return load(total + j) * keep + load(value + j) * take; });
}

STRATA_INLINE void close_partial(RowState& state) {
  for (int row = 0; row < state.n_rows; ++row) {
    const float sum = sum_of(load(state.sum + row * kLanes));
    merge_partial(state, row, state.largest[row], sum, state.value + row * state.v_pad);
  }
}

// A row of AttentionArgs::partials: its maximum, its sum, (in the first row of a group) how many partials have arrived,
// and from kLanes on its values.
STRATA_INLINE int32_t* arrivals(float* kept) { return reinterpret_cast<int32_t*>(kept) + 2; }

// The open partial is put where the one that arrives last will find it; true for that one.
STRATA_INLINE bool keep_partial(const Item& item, const RowState& state) {
  const int64_t stride = partial_row(state.v_pad);
  float* to = item.kept + static_cast<int64_t>(item.part) * state.n_rows * stride;
  for (int row = 0; row < state.n_rows; ++row, to += stride) {
    to[0] = state.largest[row];
    to[1] = sum_of(load(state.sum + row * kLanes));
    row_map(to + kLanes, state.v_pad, [&](int64_t j, int64_t) { return load(state.value + row * state.v_pad + j); });
  }
  return __atomic_add_fetch(arrivals(item.kept), 1, __ATOMIC_ACQ_REL) == item.n_parts;
}

STRATA_INLINE void merge_kept(const Item& item, RowState& state) {
  const int64_t stride = partial_row(state.v_pad);
  const float* from = item.kept;
  for (int part = 0; part < item.n_parts; ++part) {
    for (int row = 0; row < state.n_rows; ++row, from += stride) {
      merge_partial(state, row, from[0], from[1], from + kLanes);
    }
  }
}

// The extra logit of the head joins the sum and brings no value; then the division. Adding +0 turns a -0, which a
// skipped step might or might not have left, into +0.
STRATA_INLINE void finish_item(const AttentionArgs& args, const Item& item, RowState& state) {
  for (int row = 0; row < state.n_rows; ++row) {
    const int head = item.head_begin + row % item.n_heads;
    const int64_t at = (item.row_begin + row / item.n_heads) * args.n_heads + head;
    float largest = state.total_largest[row];
    Lanes sum = broadcast(state.total_sum[row]), factor = broadcast(1);
    if (args.sinks != nullptr) {
      const float sink = args.sinks[head], now = sink > largest ? sink : largest;
      factor = exp(broadcast(largest - now));
      sum = sum * factor + exp(broadcast(sink - now));
      largest = now;
    }
    factor = factor / sum;
    const float* value = state.total_value + row * state.v_pad;
    row_map(args.out + at * args.shape.v_dim, args.shape.v_dim, [&](int64_t j, int64_t n) {
      return load_first(value + j, n) * factor + broadcast(0);
    });
    float total[kLanes];
    store(total, sum);
    if (args.log_sum_exp != nullptr) args.log_sum_exp[at] = largest + log(total[0]);
  }
}

}  // namespace
