// Attention over the paged cache, and writing into it. Included inside the namespace of an instruction set.
//
// The arithmetic of one query head, whatever else is computed beside it:
//   - context in steps of kStep positions from absolute position 0: a chain of multiply_add over d for each score; one
//     maximum per step; p = exp(score - maximum), 0 exactly where masked; values summed by one chain of multiply_add
//     over the positions ascending, after the old sum was scaled by exp(old maximum - new maximum);
//   - every kPartialTokens positions the partial (maximum, sum of p in 16 lanes, sum of values) is closed: its lanes
//     are added, and it is merged into the total, ascending. Partials do not know each other: they may be computed apart.
// A step or partial that is masked for a query changes no bit of it: maxima stay, factors are exactly 1, addends 0.
// That is what lets rows of different positions share a tile, and windows skip what lies before them.
//
// Work item: one sequence, up to kMaxItemHeads heads of one kv head, and a run of queries. Its (query, head) rows are
// cut in tiles of kMaxTileRows rows that share every load of K and V.
namespace {

constexpr int kStepBlocks = 4;
constexpr int kStep = kStepBlocks * kBlockTokens;
constexpr int kMaxItemHeads = 16;
static_assert(kPartialTokens % kStep == 0 && kBlockTokens == kLanes);

struct ItemSplit {
  int heads;    // of one kv head, per item
  int chunks;   // items per kv head and query run
  int queries;  // per item
  int rows;     // heads * queries rounded up to whole tiles
};

// Enough rows to serve each block of K and V many times from the nearest cache, few enough that their state stays
// there as well.
STRATA_INLINE ItemSplit item_split(const AttentionArgs& args) {
  const int group = args.n_heads / args.shape.n_kv_heads;
  const int target_rows = args.shape.k_dim + args.shape.v_dim > 512 ? 32 : 128;
  ItemSplit split;
  split.heads = group < kMaxItemHeads ? group : kMaxItemHeads;
  split.chunks = (group + split.heads - 1) / split.heads;
  split.queries = target_rows / split.heads;
  split.rows = (split.heads * split.queries + kMaxTileRows - 1) / kMaxTileRows * kMaxTileRows;
  return split;
}

STRATA_INLINE int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// The state of the rows of an item, carved out of the workspace.
struct RowState {
  int n_rows = 0;
  int32_t* position;     // [rows] the last visible position
  int32_t* lowest;       // [rows] the first
  float* q;              // per tile of R rows: [k_dim][R], scaled
  float* largest;        // [rows]          of the open partial
  float* sum;            // [rows][kLanes]
  float* value;          // [rows][v_pad]
  float* total_largest;  // [rows]          of the closed ones
  float* total_sum;      // [rows]
  float* total_value;    // [rows][v_pad]
  float* weights;        // [kMaxTileRows][kStep] scores, then p, of one tile
  float* correction;     // [kMaxTileRows]
  float* step_values;    // [kStep][v_pad], only where values are cached as columns of K
  float* wide_keys;      // [kStepBlocks][k_dim][16], and wide_values [kStepBlocks][16][v_dim]: a step widened to fp32,
  float* wide_values;    // only where reading binary16 is dear
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
  const bool widen = !kHalfIsCheap && args.shape.type == DType::kF16;
  state.wide_keys = take(widen ? kStep * args.shape.k_dim : 0);
  state.wide_values = take(widen && !args.shape.value_is_key_prefix ? kStep * args.shape.v_dim : 0);
  return used;
}

struct Item {
  int sequence;
  int kv_head;
  int head_begin, n_heads;
  int64_t row_begin;  // first query, in q and out
  int n_queries;
  int first_position;
  const int32_t* blocks;
};

STRATA_INLINE int64_t query_runs(const AttentionArgs& args, int sequence, int per_item) {
  return (args.query_begin[sequence + 1] - args.query_begin[sequence] + per_item - 1) / per_item;
}

STRATA_INLINE Item item_at(const AttentionArgs& args, const ItemSplit& split, int64_t index) {
  const int64_t per_run = static_cast<int64_t>(args.shape.n_kv_heads) * split.chunks;
  int sequence = 0;
  while (index >= query_runs(args, sequence, split.queries) * per_run) {
    index -= query_runs(args, sequence, split.queries) * per_run;
    ++sequence;
  }
  const int group = args.n_heads / args.shape.n_kv_heads;
  const int run = static_cast<int>(index / per_run), chunk = static_cast<int>(index % split.chunks);
  const int n_queries = args.query_begin[sequence + 1] - args.query_begin[sequence], skipped = run * split.queries;
  Item item;
  item.sequence = sequence;
  item.kv_head = static_cast<int>(index % per_run) / split.chunks;
  item.head_begin = item.kv_head * group + chunk * split.heads;
  item.n_heads = group - chunk * split.heads < split.heads ? group - chunk * split.heads : split.heads;
  item.row_begin = args.query_begin[sequence] + skipped;
  item.n_queries = n_queries - skipped < split.queries ? n_queries - skipped : split.queries;
  item.first_position = args.context_len[sequence] - n_queries + skipped;
  item.blocks = args.block_table + sequence * args.block_table_stride;
  return item;
}

// Width of the tile that begins at `row`: the rows left, rounded up to a power of two.
STRATA_INLINE int tile_rows(const RowState& state, int row) {
  const int left = state.n_rows - row;
  int rows = 1;
  while (rows < left && rows < kMaxTileRows) rows *= 2;
  return rows;
}

// Rows that only fill up a tile are copies of the last row with q = 0; nobody reads their results.
STRATA_INLINE void start_item(const AttentionArgs& args, const Item& item, RowState& state) {
  state.n_rows = item.n_heads * item.n_queries;
  for (int row = 0; row < state.n_rows;) {
    const int width = tile_rows(state, row);
    float* tile_q = state.q + static_cast<int64_t>(row) * args.shape.k_dim;
    for (int r = 0; r < width; ++r) {
      const bool real = row + r < state.n_rows;
      const int source = real ? row + r : state.n_rows - 1;
      const int query = source / item.n_heads, head = item.head_begin + source % item.n_heads;
      const float* q = args.q + ((item.row_begin + query) * args.n_heads + head) * args.shape.k_dim;
      const float factor = real ? args.scale : 0.0f;
      for (int d = 0; d < args.shape.k_dim; ++d) tile_q[d * width + r] = q[d] * factor;
      const int position = item.first_position + query;
      const int lowest = args.window > 0 ? position - args.window + 1 : 0;
      state.position[row + r] = position;
      state.lowest[row + r] = lowest > 0 ? lowest : 0;
      state.total_largest[row + r] = -__FLT_MAX__;
      state.total_sum[row + r] = 0;
      clear(state.total_value + (row + r) * state.v_pad, state.v_pad);
    }
    row += width;
  }
}

STRATA_INLINE void open_partial(RowState& state) {
  const int rows = (state.n_rows + kMaxTileRows - 1) / kMaxTileRows * kMaxTileRows;
  for (int row = 0; row < rows; ++row) state.largest[row] = -__FLT_MAX__;
  clear(state.sum, static_cast<int64_t>(rows) * kLanes);
  clear(state.value, rows * state.v_pad);
}

STRATA_INLINE void close_partial(RowState& state) {
  for (int row = 0; row < state.n_rows; ++row) {
    const float old = state.total_largest[row], fresh = state.largest[row], now = fresh > old ? fresh : old;
    const Lanes keep = exp(broadcast(old - now)), take = exp(broadcast(fresh - now));
    state.total_largest[row] = now;
    const Lanes sum = broadcast(state.total_sum[row]) * keep + broadcast(sum_of(load(state.sum + row * kLanes))) * take;
    store_first(state.total_sum + row, sum, 1);
    float* total = state.total_value + row * state.v_pad;
    const float* value = state.value + row * state.v_pad;
    row_map(total, state.v_pad, [&](int64_t j, int64_t) { return load(total + j) * keep + load(value + j) * take; });
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

// One step as an item sees it: pointers to this kv head's K [k_dim][16] and V [16][v_dim] of up to kStepBlocks blocks.
template <class Number>
struct Step {
  int base;      // absolute position of its first token
  int n_tokens;  // up to the item's last position
  const Number* keys[kStepBlocks];
  const Number* values[kStepBlocks];  // null where values are columns of K: then they are in RowState::step_values
};

template <class Number>
STRATA_INLINE Step<Number> step_at(const AttentionArgs& args, const Item& item, int base, int last_position) {
  const CacheShape& shape = args.shape;
  const int64_t keys = static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim * kBlockTokens;
  const int64_t values = shape.value_is_key_prefix ? 0 : keys / shape.k_dim * shape.v_dim;
  Step<Number> step;
  step.base = base;
  step.n_tokens = last_position + 1 - base < kStep ? last_position + 1 - base : kStep;
  for (int b = 0; b < kStepBlocks; ++b) {
    step.keys[b] = step.values[b] = nullptr;
    if (b * kBlockTokens >= step.n_tokens) continue;
    const int64_t index = item.blocks[base / kBlockTokens + b];
    const Number* block = static_cast<const Number*>(args.cache) + index * (keys + values);
    step.keys[b] = block + static_cast<int64_t>(item.kv_head) * shape.k_dim * kBlockTokens;
    if (shape.value_is_key_prefix) continue;
    step.values[b] = block + keys + static_cast<int64_t>(item.kv_head) * kBlockTokens * shape.v_dim;
  }
  return step;
}

// Asks for the K and V of a step before they are needed: blocks lie anywhere, so the processor cannot guess the next.
template <class Number>
STRATA_INLINE void prefetch(const AttentionArgs& args, const Step<Number>& step) {
  constexpr int64_t kLine = 64 / sizeof(Number);
  for (int b = 0; b * kBlockTokens < step.n_tokens; ++b) {
    for (int64_t i = 0; i < args.shape.k_dim * kBlockTokens; i += kLine) __builtin_prefetch(step.keys[b] + i, 0, 2);
    if (args.shape.value_is_key_prefix) continue;
    for (int64_t i = 0; i < args.shape.v_dim * kBlockTokens; i += kLine) __builtin_prefetch(step.values[b] + i, 0, 2);
  }
}

// Values that are the first columns of K: brought into rows once for all tiles of the item.
template <class Number>
STRATA_INLINE void gather_values(const AttentionArgs& args, const Step<Number>& step, RowState& state) {
  for (int b = 0; b * kBlockTokens < step.n_tokens; ++b) {
    for (int64_t d = 0; d < args.shape.v_dim; d += kLanes) {
      const int64_t n = args.shape.v_dim - d < kLanes ? args.shape.v_dim - d : kLanes;
      Lanes columns[kLanes];
      STRATA_UNROLL
      for (int i = 0; i < kLanes; ++i) columns[i] = i < n ? load(step.keys[b] + (d + i) * kBlockTokens) : broadcast(0);
      transpose(columns);
      STRATA_UNROLL
      for (int t = 0; t < kLanes; ++t) store(state.step_values + (b * kBlockTokens + t) * state.v_pad + d, columns[t]);
    }
  }
}

STRATA_INLINE Step<float> widen(const AttentionArgs& args, const Step<uint16_t>& step, const RowState& state) {
  Step<float> wide{step.base, step.n_tokens, {}, {}};
  const int64_t n_keys = args.shape.k_dim * kBlockTokens, n_values = args.shape.v_dim * kBlockTokens;
  for (int b = 0; b * kBlockTokens < step.n_tokens; ++b) {
    float* keys = state.wide_keys + b * n_keys;
    for (int64_t i = 0; i < n_keys; i += kLanes) store(keys + i, load(step.keys[b] + i));
    wide.keys[b] = keys;
    if (args.shape.value_is_key_prefix) continue;
    float* values = state.wide_values + b * n_values;
    for (int64_t i = 0; i < n_values; i += kLanes) store(values + i, load(step.values[b] + i));
    wide.values[b] = values;
  }
  return wide;
}

// scores[r][b * 16 ...] for `rows` rows and `blocks` blocks from block b on.
template <int rows, int blocks, class Number>
STRATA_INLINE void score_tile(const float* q, int k_dim, const Step<Number>& step, int b, float* scores) {
  Lanes sums[rows][blocks];
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    STRATA_UNROLL
    for (int c = 0; c < blocks; ++c) sums[r][c] = broadcast(0);
  }
  const Number* keys[blocks];
  STRATA_UNROLL
  for (int c = 0; c < blocks; ++c) keys[c] = step.keys[b + c];
  for (int64_t d = 0; d < k_dim; ++d) {
    Lanes key[blocks];
    STRATA_UNROLL
    for (int c = 0; c < blocks; ++c) key[c] = load(keys[c] + d * kBlockTokens);
    STRATA_UNROLL
    for (int r = 0; r < rows; ++r) {
      const Lanes factor = broadcast(q[d * rows + r]);
      STRATA_UNROLL
      for (int c = 0; c < blocks; ++c) sums[r][c] = multiply_add(factor, key[c], sums[r][c]);
    }
  }
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    STRATA_UNROLL
    for (int c = 0; c < blocks; ++c) store(scores + r * kStep + (b + c) * kLanes, sums[r][c]);
  }
}

// Turns the scores of one row into p, in place, and moves its maximum and sum on.
STRATA_INLINE void soften_row(const AttentionArgs& args, int base, int n_blocks, RowState& state, int row, int r) {
  float* scores = state.weights + r * kStep;
  Lanes s[kStepBlocks];
  STRATA_UNROLL
  for (int b = 0; b < kStepBlocks; ++b) s[b] = b < n_blocks ? load(scores + b * kLanes) : broadcast(-__builtin_inff());
  if (args.softcap > 0) {
    for (int b = 0; b < n_blocks; ++b) s[b] = tanh(s[b] / broadcast(args.softcap)) * broadcast(args.softcap);
  }
  const int last = state.position[row] - base, first = state.lowest[row] - base;  // visible, counted in this step
  if (last < kStep - 1 || first > 0) {
    const Lanes high = broadcast(static_cast<float>(last)), low = broadcast(static_cast<float>(first));
    STRATA_UNROLL
    for (int b = 0; b < kStepBlocks; ++b) {
      const Lanes at = lane_numbers() + broadcast(static_cast<float>(b * kLanes));
      s[b] = select(both(less_equal(at, high), less_equal(low, at)), s[b], broadcast(-__builtin_inff()));
    }
  }
  const Lanes old = broadcast(state.largest[row]);
  const Lanes now = broadcast(max_of(max(max(max(s[0], s[1]), max(s[2], s[3])), old)));
  const Lanes correction = exp(old - now);
  STRATA_UNROLL
  for (int b = 0; b < kStepBlocks; ++b) {
    s[b] = exp(s[b] - now);
    store(scores + b * kLanes, s[b]);
  }
  float* sum = state.sum + row * kLanes;
  store(sum, load(sum) * correction + ((s[0] + s[1]) + (s[2] + s[3])));
  store_first(state.largest + row, now, 1);
  store_first(state.correction + r, correction, 1);
}

// value[r][...] = value * correction + sum over the tokens ascending of p * V, for `rows` rows and `vectors` vectors of
// V from number j on. Only the first `lanes` lanes of each vector exist in V.
template <int rows, int vectors, bool whole, class Number>
STRATA_INLINE void value_tile(RowState& state, int row, int64_t j, int64_t lanes, int n_tokens,
                              const Number* const* values, int64_t stride) {
  Lanes sums[rows][vectors];
  float* out = state.value + row * state.v_pad + j;
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    const Lanes correction = broadcast(state.correction[r]);
    STRATA_UNROLL
    for (int c = 0; c < vectors; ++c) sums[r][c] = load(out + r * state.v_pad + c * kLanes) * correction;
  }
  for (int t = 0; t < n_tokens; ++t) {
    const Number* from = values[t / kBlockTokens] + (t % kBlockTokens) * stride + j;
    Lanes value[vectors];
    STRATA_UNROLL
    for (int c = 0; c < vectors; ++c) value[c] = whole ? load(from + c * kLanes) : load_first(from + c * kLanes, lanes);
    STRATA_UNROLL
    for (int r = 0; r < rows; ++r) {
      const Lanes weight = broadcast(state.weights[r * kStep + t]);
      STRATA_UNROLL
      for (int c = 0; c < vectors; ++c) sums[r][c] = multiply_add(weight, value[c], sums[r][c]);
    }
  }
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    STRATA_UNROLL
    for (int c = 0; c < vectors; ++c) store(out + r * state.v_pad + c * kLanes, sums[r][c]);
  }
}

template <int rows, class Number>
STRATA_INLINE void add_values(RowState& state, int row, int64_t v_dim, int n_tokens, const Number* const* values,
                              int64_t stride) {
  constexpr int kVectors = tile_vectors(rows);
  int64_t j = 0;
  for (; j + kVectors * kLanes <= v_dim; j += kVectors * kLanes) {
    value_tile<rows, kVectors, true>(state, row, j, kLanes, n_tokens, values, stride);
  }
  for (; j + kLanes <= v_dim; j += kLanes) {
    value_tile<rows, 1, true>(state, row, j, kLanes, n_tokens, values, stride);
  }
  if (j < v_dim) value_tile<rows, 1, false>(state, row, j, v_dim - j, n_tokens, values, stride);
}

// One tile of rows meets one step of the context. Rows of a tile ascend in position, so its bounds are at its ends.
template <int rows, class Number>
void tile_step(const AttentionArgs& args, const Step<Number>& step, RowState& state, int row) {
  constexpr int kBlocks = tile_vectors(rows);
  const int last = state.position[row + rows - 1] - step.base, first = state.lowest[row] - step.base;
  if (last < 0 || first >= kStep) return;
  const int n_tokens = last + 1 < step.n_tokens ? last + 1 : step.n_tokens;
  const int n_blocks = (n_tokens + kBlockTokens - 1) / kBlockTokens;
  const float* q = state.q + static_cast<int64_t>(row) * args.shape.k_dim;
  int b = 0;
  for (; b + kBlocks <= n_blocks; b += kBlocks) score_tile<rows, kBlocks>(q, args.shape.k_dim, step, b, state.weights);
  for (; b < n_blocks; ++b) score_tile<rows, 1>(q, args.shape.k_dim, step, b, state.weights);
  for (int r = 0; r < rows; ++r) soften_row(args, step.base, n_blocks, state, row + r, r);
  if (!args.shape.value_is_key_prefix) {
    add_values<rows>(state, row, args.shape.v_dim, n_tokens, step.values, args.shape.v_dim);
    return;
  }
  const float* values[kStepBlocks];
  for (int i = 0; i < kStepBlocks; ++i) values[i] = state.step_values + i * kBlockTokens * state.v_pad;
  add_values<rows>(state, row, args.shape.v_dim, n_tokens, values, state.v_pad);
}

template <class Number>
STRATA_INLINE void tiles_step(const AttentionArgs& args, const Step<Number>& step, RowState& state) {
  if (args.shape.value_is_key_prefix) gather_values(args, step, state);
  for (int row = 0; row < state.n_rows;) {
    const int rows = tile_rows(state, row);
    if constexpr (kMaxTileRows >= 8) {
      if (rows == 8) tile_step<8>(args, step, state, row);
      if (rows == 4) tile_step<4>(args, step, state, row);
    }
    if (rows == 2) tile_step<2>(args, step, state, row);
    if (rows == 1) tile_step<1>(args, step, state, row);
    row += rows;
  }
}

template <class Number>
void attend(const AttentionArgs& args, const Item& item, RowState& state) {
  start_item(args, item, state);
  const int last_position = item.first_position + item.n_queries - 1;
  const int lowest = state.lowest[0] / kStep * kStep;
  for (int partial = lowest / kPartialTokens * kPartialTokens; partial <= last_position; partial += kPartialTokens) {
    open_partial(state);
    for (int base = partial; base < partial + kPartialTokens && base <= last_position; base += kStep) {
      if (base < lowest) continue;
      const Step<Number> step = step_at<Number>(args, item, base, last_position);
      if (base + kStep <= last_position) prefetch(args, step_at<Number>(args, item, base + kStep, last_position));
      if constexpr (!kHalfIsCheap && sizeof(Number) == sizeof(uint16_t)) {
        tiles_step(args, widen(args, step, state), state);
      } else {
        tiles_step(args, step, state);
      }
    }
    close_partial(state);
  }
  finish_item(args, item, state);
}

template <class Number>
STRATA_INLINE void write_token(const CacheWriteArgs& args, int64_t token) {
  const CacheShape& shape = args.shape;
  const int64_t block = args.slots[token] / kBlockTokens, slot = args.slots[token] % kBlockTokens;
  const int64_t keys = static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim * kBlockTokens;
  const int64_t values = shape.value_is_key_prefix ? 0 : keys / shape.k_dim * shape.v_dim;
  Number* to = static_cast<Number*>(args.cache) + block * (keys + values);
  const float* k = args.k + token * shape.n_kv_heads * shape.k_dim;
  const int64_t n_keys = static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim;
  for (int64_t i = 0; i < n_keys; i += kLanes) {
    const int64_t n = n_keys - i < kLanes ? n_keys - i : kLanes;
    Number column[kLanes];
    store_first(column, load_first(k + i, n), n);
    for (int64_t d = 0; d < n; ++d) to[(i + d) * kBlockTokens + slot] = column[d];
  }
  if (shape.value_is_key_prefix) return;
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    const float* v = args.v + (token * shape.n_kv_heads + head) * shape.v_dim;
    Number* row = to + keys + (static_cast<int64_t>(head) * kBlockTokens + slot) * shape.v_dim;
    for (int64_t d = 0; d < shape.v_dim; d += kLanes) {
      const int64_t n = shape.v_dim - d < kLanes ? shape.v_dim - d : kLanes;
      store_first(row + d, load_first(v + d, n), n);
    }
  }
}

}  // namespace

void cache_write(const CacheWriteArgs& args, int64_t token_begin, int64_t token_end) {
  for (int64_t token = token_begin; token < token_end; ++token) {
    if (args.slots[token] < 0) continue;
    if (args.shape.type == DType::kF16) {
      write_token<uint16_t>(args, token);
    } else {
      write_token<float>(args, token);
    }
  }
}

int64_t attention_items(const AttentionArgs& args) {
  const ItemSplit split = item_split(args);
  int64_t runs = 0;
  for (int s = 0; s < args.n_sequences; ++s) runs += query_runs(args, s, split.queries);
  return runs * args.shape.n_kv_heads * split.chunks;
}

size_t attention_workspace(const AttentionArgs& args) {
  RowState state;
  return carve(args, nullptr, state);
}

void attention(const AttentionArgs& args, int64_t item_begin, int64_t item_end, void* workspace) {
  const ItemSplit split = item_split(args);
  RowState state;
  carve(args, static_cast<char*>(workspace), state);
  for (int64_t index = item_begin; index < item_end; ++index) {
    const Item item = item_at(args, split, index);
    if (args.shape.type == DType::kF16) {
      attend<uint16_t>(args, item, state);
    } else {
      attend<float>(args, item, state);
    }
  }
}
