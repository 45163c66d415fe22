// Reading steps of the context from the paged cache. Included inside the namespace of an instruction set, after
// attention_state.inl.
namespace {

// One step as an item sees it: pointers to this kv head's K [k_dim][16] and V [16][v_dim] of up to kStepBlocks blocks, or
// to the words of two that stand for them.
// Of quantized caches (Number is int8_t) to where those begin.
template <class Number>
struct Step {
  using Type = Number;
  int base;      // absolute position of its first token
  int n_tokens;  // up to the item's last position
  int64_t value_stride;  // numbers (words) from a token's (two tokens') values to the next
  const Number* keys[kStepBlocks];
  const Number* values[kStepBlocks];  // null where values are columns of K: then they are in RowState::step_values
  // The same of the step after this one, asked for while this one is read: blocks lie anywhere, so the processor cannot
  // guess the next. Where there is none, this step's own.
  const Number* next_keys[kStepBlocks];
  const Number* next_values[kStepBlocks];
};

template <class Number>
STRATA_INLINE Step<Number> step_at(const AttentionArgs& args, const Item& item, int base, int last_position) {
  const CacheShape& shape = args.shape;
  const auto key_bytes = static_cast<int64_t>(shape.key_bytes()), value_bytes = static_cast<int64_t>(shape.value_bytes());
  Step<Number> step;
  step.base = base;
  step.n_tokens = last_position + 1 - base < kStep ? last_position + 1 - base : kStep;
  step.value_stride = shape.v_dim;
  const auto locate = [&](int position, const Number*& key, const Number*& value) {
    const int64_t index = item.blocks[position / kBlockTokens];
    const char* block = static_cast<const char*>(args.cache) + index * shape.n_kv_heads * (key_bytes + value_bytes);
    key = reinterpret_cast<const Number*>(block + item.kv_head * key_bytes);
    const char* values = block + shape.n_kv_heads * key_bytes + item.kv_head * value_bytes;
    value = shape.value_is_key_prefix ? nullptr : reinterpret_cast<const Number*>(values);
  };
  for (int b = 0; b < kStepBlocks; ++b) {
    const int position = base + b * kBlockTokens;
    step.keys[b] = step.values[b] = nullptr;
    if (position <= last_position) locate(position, step.keys[b], step.values[b]);
    step.next_keys[b] = step.keys[b];
    step.next_values[b] = step.values[b];
    if (position + kStep <= last_position) locate(position + kStep, step.next_keys[b], step.next_values[b]);
  }
  return step;
}

// 16 numbers, or words, of K; and 16 of each of 16 tokens, from word w of a row on, put where V of a block is read.
template <class Number>
STRATA_INLINE Lanes load_column(const Number* keys) {
  if constexpr (Factors<Number>::kSpan == 2) {
    return load(reinterpret_cast<const float*>(keys));
  } else {
    return load(keys);
  }
}
STRATA_INLINE void store_token_rows(float* values, const Lanes (&rows)[kLanes], int64_t w, int64_t v_pad) {
  STRATA_UNROLL
  for (int t = 0; t < kLanes; ++t) store(values + t * v_pad + w, rows[t]);
}
// A word holds two numbers of a token; of V it holds one number of two tokens.
template <class Word>
STRATA_INLINE void store_token_rows(Word* values, const Lanes (&rows)[kLanes], int64_t w, int64_t v_pad) {
  const int64_t n = v_pad - 2 * w < 2 * kLanes ? v_pad - 2 * w : 2 * kLanes;
  STRATA_UNROLL
  for (int t = 0; t < kLanes; t += 2) interleave(values + t / 2 * v_pad + 2 * w, rows[t], rows[t + 1], n);
}

// Values that are the first columns of K: brought into rows once for all tiles of the item.
template <class Number>
STRATA_INLINE void gather_values(const AttentionArgs& args, const Step<Number>& step, RowState& state) {
  for (int b = 0; b * kBlockTokens < step.n_tokens; ++b) {
    float* values = state.step_values + b * kBlockTokens / Factors<Number>::kSpan * state.v_pad;
    const int64_t n_words = words_of_row<Number>(args.shape.v_dim);
    for (int64_t w = 0; w < n_words; w += kLanes) {
      Lanes columns[kLanes];
      STRATA_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        columns[i] = w + i < n_words ? load_column(step.keys[b] + (w + i) * kBlockTokens) : broadcast(0);
      }
      transpose(columns);
      store_token_rows(reinterpret_cast<typename Factors<Number>::Word*>(values), columns, w, state.v_pad);
    }
  }
}

// The numbers of a block in fp32. K of one kv head, or V.
template <class Number>
STRATA_INLINE void widen_block(const Number* from, int64_t rows, int64_t row, float* to) {
  if constexpr (Factors<Number>::kSpan == 1) {
    for (int64_t i = 0; i < rows * row; i += kLanes) store(to + i, load(from + i));
  } else {
    for (int64_t r = 0; r < rows; r += 2, from += row) {
      for (int64_t i = 0; i < row; i += kLanes) {
        const int64_t n = row - i < kLanes ? row - i : kLanes;
        Lanes first, second;
        load_words(from + i, n, first, second);
        store_first(to + r * row + i, first, n);
        if (r + 1 < rows) store_first(to + (r + 1) * row + i, second, n);
      }
    }
  }
}

template <class Number>
STRATA_INLINE Step<float> widen(const AttentionArgs& args, const Step<Number>& step, const RowState& state) {
  Step<float> wide{step.base, step.n_tokens, args.shape.v_dim, {}, {}, {}, {}};
  const int64_t k_dim = args.shape.k_dim, v_dim = args.shape.v_dim;
  for (int b = 0; b * kBlockTokens < step.n_tokens; ++b) {
    float* keys = state.wide_keys + b * k_dim * kBlockTokens;
    widen_block(step.keys[b], k_dim, kBlockTokens, keys);
    wide.keys[b] = wide.next_keys[b] = keys;
    if (args.shape.value_is_key_prefix) continue;
    float* values = state.wide_values + b * v_dim * kBlockTokens;
    widen_block(step.values[b], kBlockTokens, v_dim, values);
    wide.values[b] = wide.next_values[b] = values;
  }
  return wide;
}

// Row `at` of K or V in fp32; and rows at, at + 1 in words. `dim`: numbers of a row, of which n are stored.
STRATA_INLINE void store_rows_of(float* to, int64_t at, int64_t dim, const Lanes (&rows)[1], int64_t n) {
  store_first(to + at * dim, rows[0], n);
}
template <class Word>
STRATA_INLINE void store_rows_of(Word* to, int64_t at, int64_t dim, const Lanes (&rows)[2], int64_t n) {
  store_words(to + at / 2 * dim, rows[0], rows[1], n);
}

// K of one block and kv head: its tokens are the lanes of codes and scales alike. Beyond dim codes are zero.
template <bool four_bits, class Word>
STRATA_INLINE void dequantize_keys(const int8_t* from, int64_t dim, Word* to) {
  constexpr int kSpan = Factors<Word>::kSpan;
  const int64_t groups = (dim + kCacheGroup - 1) / kCacheGroup, bytes = four_bits ? kCacheGroup / 2 : kCacheGroup;
  const auto* scales = reinterpret_cast<const uint16_t*>(from + groups * bytes * kBlockTokens);
  for (int64_t g = 0; g < groups; ++g) {
    const Lanes scale = load(scales + g * kBlockTokens);
    const int64_t begin = g * kCacheGroup, n = dim - begin < kCacheGroup ? dim - begin : kCacheGroup;
    for (int64_t i = 0; i < (n < bytes ? n : bytes); i += kSpan) {
      const int8_t* codes = from + (g * bytes + i) * kBlockTokens;
      Lanes low[kSpan], high[kSpan];
      STRATA_UNROLL
      for (int s = 0; s < kSpan; ++s) {
        if constexpr (four_bits) {
          load_nibbles(codes + s * kBlockTokens, low[s], high[s]);
          high[s] = high[s] * scale;
        } else {
          low[s] = load(codes + s * kBlockTokens);
        }
        low[s] = low[s] * scale;
      }
      store_rows_of(to, begin + i, kBlockTokens, low, kBlockTokens);
      if (four_bits && i + bytes < n) store_rows_of(to, begin + i + bytes, kBlockTokens, high, kBlockTokens);
    }
  }
}

// V of one block and kv head: token after token.
template <bool four_bits, class Word>
STRATA_INLINE void dequantize_values(const int8_t* from, int64_t dim, Word* to) {
  constexpr int kSpan = Factors<Word>::kSpan;
  const int64_t groups = (dim + kCacheGroup - 1) / kCacheGroup, bytes = four_bits ? kCacheGroup / 2 : kCacheGroup;
  const auto* scales = reinterpret_cast<const uint16_t*>(from + groups * bytes * kBlockTokens);
  for (int64_t t = 0; t < kBlockTokens; t += kSpan) {
    for (int64_t g = 0; g < groups; ++g) {
      Lanes first[kSpan], second[kSpan];
      STRATA_UNROLL
      for (int s = 0; s < kSpan; ++s) {
        const int64_t i = (t + s) * groups + g;
        float number[kLanes];
        store_first(number, load_first(scales + i, 1), 1);
        if constexpr (four_bits) {
          load_nibbles(from + i * bytes, first[s], second[s]);
        } else {
          first[s] = load(from + i * bytes);
          second[s] = load(from + i * bytes + kLanes);
        }
        first[s] = first[s] * broadcast(number[0]);
        second[s] = second[s] * broadcast(number[0]);
      }
      const int64_t begin = g * kCacheGroup, n = dim - begin;
      store_rows_of(to + begin, t, dim, first, n < kLanes ? n : kLanes);
      if (n > kLanes) store_rows_of(to + begin + kLanes, t, dim, second, n < kCacheGroup ? n - kLanes : kLanes);
    }
  }
}

STRATA_INLINE void ask_for(const int8_t* from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

STRATA_INLINE Step<DequantizedWord> dequantize(const AttentionArgs& args, const Step<int8_t>& step,
                                               const RowState& state) {
  const CacheShape& shape = args.shape;
  const bool four_bits = shape.type == DType::kQ4_0;
  const size_t key_bytes = shape.key_bytes(), value_bytes = shape.value_bytes();
  Step<DequantizedWord> wide{step.base, step.n_tokens, step.value_stride, {}, {}, {}, {}};
  for (int b = 0; b * kBlockTokens < step.n_tokens; ++b) {
    ask_for(step.next_keys[b], key_bytes);
    ask_for(step.next_values[b], value_bytes);
    auto* keys = reinterpret_cast<DequantizedWord*>(state.wide_keys) + int64_t{b} * shape.k_dim * kBlockTokens;
    four_bits ? dequantize_keys<true>(step.keys[b], shape.k_dim, keys)
              : dequantize_keys<false>(step.keys[b], shape.k_dim, keys);
    wide.keys[b] = wide.next_keys[b] = keys;
    if (shape.value_is_key_prefix) continue;
    auto* values = reinterpret_cast<DequantizedWord*>(state.wide_values) + int64_t{b} * shape.v_dim * kBlockTokens;
    four_bits ? dequantize_values<true>(step.values[b], shape.v_dim, values)
              : dequantize_values<false>(step.values[b], shape.v_dim, values);
    wide.values[b] = wide.next_values[b] = values;
  }
  return wide;
}

}  // namespace
