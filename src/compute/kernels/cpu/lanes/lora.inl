// Low-rank adapters: x times the first factor, and what the second one adds to y. Included inside the namespace of an
// instruction set. Sums are those of a row alone: over the blocks of k ascending, lane by lane, then in one fixed tree;
// over the rank ascending. How many rows share a load of the factor changes no bit.
namespace {

constexpr int kLoraVectors = static_cast<int>(kAdapterColumns) / kLanes;  // of a block
constexpr int kLoraRows = kMaxTileRows >= 8 ? 4 : 1;  // of x or y that share a load: what the registers hold

// Four numbers of a block's row, or codes and their scale.
template <class Code>
STRATA_INLINE float block_scale(const std::byte* block, int64_t rows, int64_t row) {
  float scale = 1;
  if constexpr (sizeof(Code) == 1) __builtin_memcpy(&scale, block + rows * kAdapterColumns + row * 4, sizeof(scale));
  return scale;
}
template <class Code>
STRATA_INLINE const Code* block_row(const std::byte* block, int64_t row) {
  return reinterpret_cast<const Code*>(block) + row * kAdapterColumns;
}

// A factor is read once, from front to back: a row of a block asks for the one that comes so far behind it.
constexpr int64_t kLoraAhead = 2048;

// Vector v of a block's columns of a row of floats; zeros beyond the row.
STRATA_INLINE Lanes load_of_block(const float* p, int64_t left, int v) {
  const int64_t n = left - v * kLanes;
  return n >= kLanes ? load(p + v * kLanes) : load_first(p + v * kLanes, n > 0 ? n : 0);
}

template <class Code, int kTokens, int kRanks>
void down_tile(float* low, int64_t low_stride, const float* x, const AdapterFactor& a, float scale, int64_t first) {
  const int64_t n_blocks = blocks_of(a);
  Lanes sum[kTokens][kRanks];
  STRATA_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    STRATA_UNROLL
    for (int r = 0; r < kRanks; ++r) sum[t][r] = broadcast(0);
  }
  for (int64_t i = 0; i < n_blocks; ++i) {
    const std::byte* block = a.data + block_offset(a, first, i);
    const int64_t left = a.width - i * kAdapterColumns;
    STRATA_UNROLL
    for (int r = 0; r < kRanks; ++r) {
      const Lanes of_block = broadcast(block_scale<Code>(block, kRanks, r));
      __builtin_prefetch(block_row<Code>(block, r) + kLoraAhead / sizeof(Code));
      Lanes part[kTokens];
      STRATA_UNROLL
      for (int t = 0; t < kTokens; ++t) part[t] = broadcast(0);
      STRATA_UNROLL
      for (int v = 0; v < kLoraVectors; ++v) {
        const Lanes codes = load(block_row<Code>(block, r) + v * kLanes);
        STRATA_UNROLL
        for (int t = 0; t < kTokens; ++t)
          part[t] = multiply_add(load_of_block(x + t * a.width + i * kAdapterColumns, left, v), codes, part[t]);
      }
      STRATA_UNROLL
      for (int t = 0; t < kTokens; ++t) sum[t][r] = multiply_add(part[t], of_block, sum[t][r]);
    }
  }
  STRATA_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    STRATA_UNROLL
    for (int r = 0; r < kRanks; ++r) low[t * low_stride + first + r] = sum_of(sum[t][r]) * scale;
  }
}

template <class Code, int kTokens>
void down_group(float* low, int64_t low_stride, const float* x, const AdapterFactor& a, float scale, int64_t first) {
  switch (rows_of_group(a, first)) {
    case 1:
      return down_tile<Code, kTokens, 1>(low, low_stride, x, a, scale, first);
    case 2:
      return down_tile<Code, kTokens, 2>(low, low_stride, x, a, scale, first);
    case 3:
      return down_tile<Code, kTokens, 3>(low, low_stride, x, a, scale, first);
    default:
      return down_tile<Code, kTokens, 4>(low, low_stride, x, a, scale, first);
  }
}

template <class Code>
void down(float* low, int64_t low_stride, const float* x, int64_t rows, const AdapterFactor& a, float scale,
          int64_t begin, int64_t end) {
  static_assert(kAdapterRows == 4);
  for (int64_t first = begin; first < end; first += kAdapterRows) {
    int64_t t = 0;
    for (; t + kLoraRows <= rows; t += kLoraRows)
      down_group<Code, kLoraRows>(low + t * low_stride, low_stride, x + t * a.width, a, scale, first);
    for (; t < rows; ++t) down_group<Code, 1>(low + t * low_stride, low_stride, x + t * a.width, a, scale, first);
  }
}

// One block of columns of kTokens rows of y.
template <class Code, int kTokens>
STRATA_INLINE void up_tile(float* y, const float* low, int64_t low_stride, const AdapterFactor& b, int64_t i) {
  const std::byte* block = b.data + block_offset(b, 0, i);
  const int64_t left = b.width - i * kAdapterColumns;
  float* const to = y + i * kAdapterColumns;
  Lanes sum[kTokens][kLoraVectors];
  STRATA_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    STRATA_UNROLL
    for (int v = 0; v < kLoraVectors; ++v) sum[t][v] = load_of_block(to + t * b.width, left, v);
  }
  for (int64_t r = 0; r < b.rank; ++r) {
    const float of_block = block_scale<Code>(block, b.rank, r);
    __builtin_prefetch(block_row<Code>(block, r) + kLoraAhead / sizeof(Code));
    Lanes factor[kTokens];
    STRATA_UNROLL
    for (int t = 0; t < kTokens; ++t) factor[t] = broadcast(low[t * low_stride + r] * of_block);
    STRATA_UNROLL
    for (int v = 0; v < kLoraVectors; ++v) {
      const Lanes codes = load(block_row<Code>(block, r) + v * kLanes);
      STRATA_UNROLL
      for (int t = 0; t < kTokens; ++t) sum[t][v] = multiply_add(factor[t], codes, sum[t][v]);
    }
  }
  STRATA_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    STRATA_UNROLL
    for (int v = 0; v < kLoraVectors; ++v) {
      const int64_t n = left - v * kLanes;
      if (n > 0) store_first(to + t * b.width + v * kLanes, sum[t][v], n < kLanes ? n : kLanes);
    }
  }
}

template <class Code>
void up(float* y, const float* low, int64_t low_stride, int64_t rows, const AdapterFactor& b, int64_t begin,
        int64_t end) {
  for (int64_t i = begin / kAdapterColumns; i * kAdapterColumns < end; ++i) {
    int64_t t = 0;
    for (; t + kLoraRows <= rows; t += kLoraRows)
      up_tile<Code, kLoraRows>(y + t * b.width, low + t * low_stride, low_stride, b, i);
    for (; t < rows; ++t) up_tile<Code, 1>(y + t * b.width, low + t * low_stride, low_stride, b, i);
  }
}

}  // namespace

void lora_down(float* low, int64_t low_stride, const float* x, int64_t rows, const AdapterFactor& a, float scale,
               int64_t begin, int64_t end) {
  if (a.type == DType::kI8) return down<int8_t>(low, low_stride, x, rows, a, scale, begin, end);
  if (a.type == DType::kBF16) return down<BFloat>(low, low_stride, x, rows, a, scale, begin, end);
  return down<float>(low, low_stride, x, rows, a, scale, begin, end);
}

void lora_up(float* y, const float* low, int64_t low_stride, int64_t rows, const AdapterFactor& b, int64_t begin,
             int64_t end) {
  if (b.type == DType::kI8) return up<int8_t>(y, low, low_stride, rows, b, begin, end);
  if (b.type == DType::kBF16) return up<BFloat>(y, low, low_stride, rows, b, begin, end);
  return up<float>(y, low, low_stride, rows, b, begin, end);
}
