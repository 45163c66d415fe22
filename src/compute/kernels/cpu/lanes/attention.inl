// Attention over the paged cache. Included inside the namespace of an instruction set, after cache_read.inl.
//
// The arithmetic of one query head, whatever else is computed beside it:
//   - context in steps of kStep positions from absolute position 0: a chain of multiply_add over d for each score; one
//     maximum per step; p = exp(score - maximum), 0 exactly where masked; values summed by one chain of multiply_add
//     over the positions ascending, after the old sum was scaled by exp(old maximum - new maximum);
//   - every kPartialTokens positions the partial (maximum, sum of p in 16 lanes, sum of values) is closed: its lanes
//     are added, and it is merged into the total, ascending. Partials do not know each other, so they may be computed
//     apart.
// A step or partial that is masked for a query changes no bit of it: maxima stay, factors are exactly 1, addends 0.
// That is what lets rows of different positions share a tile, and windows skip what lies before them.
//
// The (query, head) rows of a work item (attention_items.inl) are cut in tiles of kMaxTileRows rows that share every load
// of K and V.
namespace {

// scores[r][b * 16 ...] for `rows` rows and `blocks` blocks from block b on. With `ask` the next step is asked for.
template <int rows, int blocks, bool ask, class Number>
STRATA_INLINE void score_tile(const typename Factors<Number>::Word* q, int64_t n_words, const Step<Number>& step, int b,
                              float* scores) {
  Lanes sums[rows][blocks];
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    STRATA_UNROLL
    for (int c = 0; c < blocks; ++c) sums[r][c] = broadcast(0);
  }
  const Number *keys[blocks], *next[blocks];
  STRATA_UNROLL
  for (int c = 0; c < blocks; ++c) {
    keys[c] = step.keys[b + c];
    next[c] = step.next_keys[b + c];
  }
  for (int64_t d = 0; d < n_words; ++d) {
    decltype(load(keys[0])) key[blocks];
    STRATA_UNROLL
    for (int c = 0; c < blocks; ++c) {
      key[c] = load(keys[c] + d * kBlockTokens);
      if constexpr (ask) __builtin_prefetch(next[c] + d * kBlockTokens);
    }
    STRATA_UNROLL
    for (int r = 0; r < rows; ++r) {
      const auto factor = broadcast(q[d * rows + r]);
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

// The scores of one row with all that joins them; -inf where its query does not see.
STRATA_INLINE void finish_scores(const AttentionArgs& args, int base, int n_blocks, const RowState& state, int row,
                                 float* scores, Lanes (&s)[kStepBlocks]) {
  STRATA_UNROLL
  for (int b = 0; b < kStepBlocks; ++b) s[b] = b < n_blocks ? load(scores + b * kLanes) : broadcast(-__builtin_inff());
  if (args.alibi.slopes != nullptr) {
    for (int b = 0; b < n_blocks; ++b) {
      const Lanes bias = alibi_bias(args.alibi, state.slope[row], base + b * kLanes);
      s[b] = multiply_add(bias, broadcast(args.scale), s[b]);
    }
  }
  if (args.softcap > 0) {
    for (int b = 0; b < n_blocks; ++b) s[b] = tanh(s[b] / broadcast(args.softcap)) * broadcast(args.softcap);
  }
  const int last = state.position[row] - base, first = state.lowest[row] - base;  // visible, counted in this step
  const bool masked = last < kStep - 1 || first > 0;
  if (masked) {
    const Lanes high = broadcast(static_cast<float>(last)), low = broadcast(static_cast<float>(first));
    STRATA_UNROLL
    for (int b = 0; b < kStepBlocks; ++b) {
      const Lanes at = lane_numbers() + broadcast(static_cast<float>(b * kLanes));
      s[b] = select(both(less_equal(at, high), less_equal(low, at)), s[b], broadcast(-__builtin_inff()));
    }
  }
  if (!masked && args.alibi.slopes == nullptr && args.softcap <= 0) return;
  STRATA_UNROLL
  for (int b = 0; b < kStepBlocks; ++b) store(scores + b * kLanes, s[b]);
}

// p of a score less the maximum, as exact as its use asks for.
STRATA_INLINE Lanes weight_of(Lanes x, float) { return exp_of_negative(x); }
template <class Word>
STRATA_INLINE Lanes weight_of(Lanes x, Word word) {
  return exp_of_negative(x, word);
}
STRATA_INLINE void store_weights(float* words, int b, Lanes p) { store(words + b * kLanes, p); }
template <class Word>
STRATA_INLINE void store_weights(Word* words, int b, Lanes p) {
  store_first(reinterpret_cast<BFloat*>(words) + b * kLanes, p, kLanes);
}

// Turns the scores of a tile into p, in place, and moves the maxima and sums of its rows on.
template <int rows, class Number>
STRATA_INLINE void soften_tile(const AttentionArgs& args, int base, int n_blocks, RowState& state, int row) {
  using Word = typename Factors<Number>::Word;
  Lanes s[kStepBlocks], largest[rows];
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    finish_scores(args, base, n_blocks, state, row + r, state.weights + r * kStep, s);
    largest[r] = max(max(s[0], s[1]), max(s[2], s[3]));
  }
  float maxima[kLanes] = {};
  store_maxima(maxima, largest);
  const Lanes old = load_first(state.largest + row, rows), now = max(load(maxima), old);
  store_first(state.largest + row, now, rows);
  store_first(state.correction, exp_of_negative(old - now), rows);
  for (int r = 0; r < rows; ++r) {
    float* scores = state.weights + r * kStep;
    const Lanes most = broadcast(state.largest[row + r]);
    STRATA_UNROLL
    for (int b = 0; b < kStepBlocks; ++b) {
      s[b] = weight_of(load(scores + b * kLanes) - most, Word{});
      store_weights(reinterpret_cast<Word*>(scores), b, s[b]);
    }
    float* sum = state.sum + (row + r) * kLanes;
    store(sum, load(sum) * broadcast(state.correction[r]) + ((s[0] + s[1]) + (s[2] + s[3])));
  }
}

// value[r][...] = value * correction + sum over the tokens ascending of p * V, for `rows` rows and `vectors` vectors of
// V from number j on. Only the first `lanes` lanes of each vector exist in V.
template <int rows, int vectors, bool whole, bool ask, class Number>
STRATA_INLINE void value_tile(RowState& state, int row, int64_t j, int64_t lanes, int n_tokens,
                              const Number* const* values, const Number* const* next, int64_t stride) {
  using Word = typename Factors<Number>::Word;
  Lanes sums[rows][vectors];
  float* out = state.value + row * state.v_pad + j;
  STRATA_UNROLL
  for (int r = 0; r < rows; ++r) {
    const Lanes correction = broadcast(state.correction[r]);
    STRATA_UNROLL
    for (int c = 0; c < vectors; ++c) sums[r][c] = load(out + r * state.v_pad + c * kLanes) * correction;
  }
  constexpr int kSpan = Factors<Number>::kSpan, kBlockRows = kBlockTokens / kSpan;
  constexpr int kLineVectors = 64 / (kLanes * static_cast<int>(sizeof(Number)));
  const int n_rows = (n_tokens + kSpan - 1) / kSpan;
  for (int t = 0; t < n_rows; ++t) {
    const Number* from = values[t / kBlockRows] + (t % kBlockRows) * stride + j;
    if constexpr (ask) {
      STRATA_UNROLL
      for (int c = 0; c < vectors; c += kLineVectors) {
        __builtin_prefetch(next[t / kBlockRows] + (t % kBlockRows) * stride + j + c * kLanes);
      }
    }
    decltype(load(from)) value[vectors];
    STRATA_UNROLL
    for (int c = 0; c < vectors; ++c) value[c] = whole ? load(from + c * kLanes) : load_first(from + c * kLanes, lanes);
    if constexpr (kSpan == 2) {  // the position after the last one holds anything
      STRATA_UNROLL
      for (int c = 0; c < vectors; ++c) value[c] = 2 * t + 1 < n_tokens ? value[c] : without_second(value[c]);
    }
    STRATA_UNROLL
    for (int r = 0; r < rows; ++r) {
      const auto weight = broadcast(reinterpret_cast<const Word*>(state.weights + r * kStep)[t]);
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

template <int rows, bool ask, class Number>
STRATA_INLINE void add_values(RowState& state, int row, int64_t v_dim, int n_tokens, const Number* const* values,
                              const Number* const* next, int64_t stride) {
  constexpr int kVectors = tile_vectors(rows);
  int64_t j = 0;
  for (; j + kVectors * kLanes <= v_dim; j += kVectors * kLanes) {
    value_tile<rows, kVectors, true, ask>(state, row, j, kLanes, n_tokens, values, next, stride);
  }
  for (; j + kLanes <= v_dim; j += kLanes) {
    value_tile<rows, 1, true, ask>(state, row, j, kLanes, n_tokens, values, next, stride);
  }
  if (j < v_dim) value_tile<rows, 1, false, ask>(state, row, j, v_dim - j, n_tokens, values, next, stride);
}

// One tile of rows meets one step of the context. Rows of a tile ascend in position, so its bounds are at its ends.
template <int rows, bool ask, class Number>
void tile_step(const AttentionArgs& args, const Step<Number>& step, RowState& state, int row) {
  constexpr int kBlocks = tile_vectors(rows);
  const int last = state.position[row + rows - 1] - step.base, first = state.lowest[row] - step.base;
  if (last < 0 || first >= kStep) return;
  const int n_tokens = last + 1 < step.n_tokens ? last + 1 : step.n_tokens;
  const int n_blocks = (n_tokens + kBlockTokens - 1) / kBlockTokens;
  const int64_t n_words = words_of_row<Number>(args.shape.k_dim);
  const auto* q = reinterpret_cast<const typename Factors<Number>::Word*>(state.q + row * n_words);
  int b = 0;
  for (; b + kBlocks <= n_blocks; b += kBlocks) score_tile<rows, kBlocks, ask>(q, n_words, step, b, state.weights);
  for (; b < n_blocks; ++b) score_tile<rows, 1, ask>(q, n_words, step, b, state.weights);
  soften_tile<rows, Number>(args, step.base, n_blocks, state, row);
  if (step.values[0] != nullptr) {
    add_values<rows, ask>(state, row, args.shape.v_dim, n_tokens, step.values, step.next_values, step.value_stride);
    return;
  }
  using Word = typename Factors<Number>::Word;
  const int64_t block = kBlockTokens / Factors<Number>::kSpan * state.v_pad;
  const Word* values[kStepBlocks];
  for (int i = 0; i < kStepBlocks; ++i) values[i] = reinterpret_cast<const Word*>(state.step_values) + i * block;
  add_values<rows, false>(state, row, args.shape.v_dim, n_tokens, values, values, state.v_pad);
}

// The first tile asks for the next step while it reads this one; the others find this one near.
template <int rows, class Number>
STRATA_INLINE void first_or_later_tile(const AttentionArgs& args, const Step<Number>& step, RowState& state, int row) {
  if (row == 0) {
    tile_step<rows, true>(args, step, state, row);
  } else {
    tile_step<rows, false>(args, step, state, row);
  }
}

template <class Number>
STRATA_INLINE void tiles_step(const AttentionArgs& args, const Step<Number>& step, RowState& state) {
  if (step.values[0] == nullptr) gather_values(args, step, state);
  for (int row = 0; row < state.n_rows;) {
    const int rows = tile_rows(state, row);
    if constexpr (kMaxTileRows >= 8) {
      if (rows == 8) first_or_later_tile<8>(args, step, state, row);
    }
    if constexpr (kMaxTileRows >= 4) {
      if (rows == 4) first_or_later_tile<4>(args, step, state, row);
    }
    if (rows == 2) first_or_later_tile<2>(args, step, state, row);
    if (rows == 1) first_or_later_tile<1>(args, step, state, row);
    row += rows;
  }
}

// The steps of one partial, as far as the item's rows see it.
template <class F>
STRATA_INLINE void walk_partial(const AttentionArgs& args, RowState& state, int begin, const F& step_from) {
  const int last_position = state.position[state.n_rows - 1];
  const int lowest = state.lowest[0] / kStep * kStep;
  open_partial(state);
  for (int base = begin; base < begin + kPartialTokens && base <= last_position; base += kStep) {
    if (base >= lowest) tiles_step(args, step_from(base, last_position), state);
  }
}

// From the first visible position of the item's first row to the last one of its last row; step_from(base,
// last_position) gives the steps.
template <class F>
STRATA_INLINE void walk_context(const AttentionArgs& args, RowState& state, const F& step_from) {
  const int last_position = state.position[state.n_rows - 1];
  const int first = state.lowest[0] / kPartialTokens * kPartialTokens;
  for (int begin = first; begin <= last_position; begin += kPartialTokens) {
    walk_partial(args, state, begin, step_from);
    close_partial(state);
  }
}

// How the steps of a cache of this type reach the tiles: as they are, or widened to fp32 once for all of them.
template <class Number>
STRATA_INLINE auto cached_step(const AttentionArgs& args, const Item& item, int base, int last_position,
                               RowState& state) {
  const Step<Number> step = step_at<Number>(args, item, base, last_position);
  if constexpr (__is_same(Number, int8_t)) {
    return dequantize(args, step, state);
  } else if constexpr (__is_same(Number, uint16_t) ? !kHalfIsCheap : __is_same(Number, BFloatPair) && !kBFloatInPairs) {
    return widen(args, step, state);
  } else {
    return step;
  }
}

template <class Number>
void attend(const AttentionArgs& args, const Item& item, RowState& state) {
  using Reached = typename decltype(cached_step<Number>(args, item, 0, 0, state))::Type;
  start_item<Reached>(args, item, state, [&](int position) {
    return Visible{args.window > 0 ? position - args.window + 1 : 0, position};
  });
  const auto step_from = [&](int base, int last_position) {
    return cached_step<Number>(args, item, base, last_position, state);
  };
  if (item.kept != nullptr) {
    walk_partial(args, state, item.part_begin, step_from);
    if (!keep_partial(item, state)) return;
    merge_kept(item, state);
  } else {
    walk_context(args, state, step_from);
  }
  finish_item(args, item, state);
}

}  // namespace

size_t attention_workspace(const AttentionArgs& args) {
  RowState state;
  return carve(args, nullptr, state);
}

void attention(const AttentionArgs& args, int64_t item_begin, int64_t item_end, void* workspace) {
  const ItemSplit split = item_split(args);
  RowState state;
  carve(args, static_cast<char*>(workspace), state);
  ItemCursor cursor;
  for (int64_t index = item_begin; index < item_end; ++index) {
    const Item item = item_at(args, split, index, cursor);
    switch (args.shape.type) {
      case DType::kF16:
        attend<uint16_t>(args, item, state);
        break;
      case DType::kBF16:
        attend<BFloatPair>(args, item, state);
        break;
      case DType::kQ8_0:
      case DType::kQ4_0:
        attend<int8_t>(args, item, state);
        break;
      default:
        attend<float>(args, item, state);
    }
  }
}
