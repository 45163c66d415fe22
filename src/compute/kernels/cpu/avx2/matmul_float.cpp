// F32 and F16 weights times fp32 rows, BF16 weights times bf16 rows: one chain of fma per output, K ascending; the
// arithmetic is that of kernels/reference/matmul.h.
//
// A register tile is up to 6 rows of x (BF16: 5) by 16 outputs, or up to 3 rows by 32. Many rows take K in steps, so
// that this part of the weights stays in the first-level cache while all rows of the tile of work use it; the sums wait
// in memory between the steps, which changes no bit.
#include "compute/kernels/cpu/avx2/families.h"
#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/packed_weights.h"

namespace strata::avx2 {
namespace {

constexpr int kWideTileRows = 3;  // up to here both groups of a panel at once: one row alone needs four chains
constexpr int kMaxRows = 150;     // of a tile of work
constexpr int kStepStructs = 128;
constexpr int kVectors = 4;  // of 8 outputs in a panel

STRATA_INLINE float load_word(const uint8_t* p) {
  float word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// part_of(p, h, j) and part_of_x(x, j): number j of the kSpan that a struct holds, of outputs 8 h ... 8 h + 7 of its
// group, and of the word of four bytes that x holds for each struct.
struct WeightsF32 {
  using Packed = PackedF32;
  static constexpr int kTileRows = 6;
  static constexpr DType kActivation = DType::kF32;
  STRATA_INLINE __m256 part_of(const Packed& p, int h, int) { return _mm256_loadu_ps(p.w + 8 * h); }
  STRATA_INLINE __m256 part_of_x(const uint8_t* x, int) { return _mm256_set1_ps(load_word(x)); }
};
struct WeightsF16 {
  using Packed = PackedF16;
  static constexpr int kTileRows = 6;
  static constexpr DType kActivation = DType::kF32;
  STRATA_INLINE __m256 part_of(const Packed& p, int h, int) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p.w + 8 * h)));
  }
  STRATA_INLINE __m256 part_of_x(const uint8_t* x, int) { return _mm256_set1_ps(load_word(x)); }
};
struct WeightsBF16 {
  using Packed = PackedBF16;
  static constexpr int kTileRows = 5;  // what widens takes registers
  static constexpr DType kActivation = DType::kActBF16;
  STRATA_INLINE __m256 widen(__m256i pairs, int j) {
    const __m256i zero = _mm256_setzero_si256();  // costs less than the register of a mask
    return _mm256_castsi256_ps(j == 0 ? _mm256_slli_epi32(pairs, 16) : _mm256_blend_epi16(pairs, zero, 0x55));
  }
  STRATA_INLINE __m256 part_of(const Packed& p, int h, int j) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p.w[8 * h])), j);
  }
  STRATA_INLINE __m256 part_of_x(const uint8_t* x, int j) {
    return widen(_mm256_castps_si256(_mm256_set1_ps(load_word(x))), j);
  }
};

struct WeightsFP8 {
  using Packed = PackedFP8;
  static constexpr DType kActivation = DType::kF32;
  static constexpr int kTileRows = WeightsF32::kTileRows;
};

// y[t][first + v] += structs [begin, end) times x; x[t] is row t, word i of which belongs to struct i. first is the
// first of the panel's four vectors that are computed, v < kCount.
template <class W, int kRows, int kCount>
void add_structs(const PackedPanel<typename W::Packed>& weights, int first, int64_t begin, int64_t end,
                 const uint8_t* const* x, __m256 y[][kVectors]) {
  __m256 sum[kRows][kCount];
  const uint8_t* row[kRows];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    row[t] = x[t];
    STRATA_UNROLL
    for (int v = 0; v < kCount; ++v) sum[t][v] = y[t][first + v];
  }
  const typename W::Packed* p = weights.first + begin * weights.width + first / 2 * (weights.width - 1);
  for (int64_t i = begin; i < end; ++i, p += weights.width) {
    STRATA_UNROLL
    for (int j = 0; j < W::Packed::kSpan; ++j) {
      if (j > 0) asm("" ::: "memory");  // words are read again for each number: there are no registers to keep them in
      __m256 w[kCount];
      STRATA_UNROLL
      for (int v = 0; v < kCount; ++v) w[v] = W::part_of(p[v / 2 * (weights.width - 1)], v % 2, j);
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) {
        const __m256 number = W::part_of_x(row[t] + 4 * i, j);
        STRATA_UNROLL
        for (int v = 0; v < kCount; ++v) sum[t][v] = _mm256_fmadd_ps(number, w[v], sum[t][v]);
      }
    }
  }
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    STRATA_UNROLL
    for (int v = 0; v < kCount; ++v) y[t][first + v] = sum[t][v];
  }
}

template <class W>
void add_structs(const PackedPanel<typename W::Packed>& weights, int64_t begin, int64_t end, const uint8_t* const* x,
                 int64_t n_rows, __m256 y[][kVectors]) {
  switch (n_rows) {
    case 1:
      return add_structs<W, 1, 4>(weights, 0, begin, end, x, y);
    case 2:
      return add_structs<W, 2, 4>(weights, 0, begin, end, x, y);
    case 3:
      return add_structs<W, 3, 4>(weights, 0, begin, end, x, y);
    default:
      break;
  }
  for (int first = 0; first < kVectors; first += 2) {
    switch (n_rows) {
      case 4:
        add_structs<W, 4, 2>(weights, first, begin, end, x, y);
        break;
      case 5:
        add_structs<W, 5, 2>(weights, first, begin, end, x, y);
        break;
      default:
        add_structs<W, 6, 2>(weights, first, begin, end, x, y);
        break;
    }
  }
}

// The last struct of an odd k: its second number does not exist.
template <class W>
void add_half_struct(const PackedPanel<typename W::Packed>& weights, int64_t i, const uint8_t* const* x, int64_t n_rows,
                     __m256 y[][kVectors]) {
  for (int64_t t = 0; t < n_rows; ++t) {
    uint8_t word[4] = {};
    __builtin_memcpy(word, x[t] + 4 * i, 2);
    for (int v = 0; v < kVectors; ++v) {
      const typename W::Packed& p = weights.first[i * weights.width + v / 2 * (weights.width - 1)];
      y[t][v] = _mm256_fmadd_ps(W::part_of_x(word, 0), W::part_of(p, v % 2, 0), y[t][v]);
    }
  }
}

// Asks for the weights of the next step, to be used some microseconds later; beyond the end of the weights a prefetch,
// unlike a pointer, may go.
template <class Packed>
STRATA_INLINE void prefetch_step(const Packed* p) {
  for (size_t line = 0; line < 2 * kStepStructs * sizeof(Packed); line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + line), _MM_HINT_T1);
  }
}

template <class W>
void panel(const PackedPanel<typename W::Packed>& weights, int64_t k, const uint8_t* const* x, int64_t n_rows,
           __m256 y[][kVectors]) {
  const int64_t structs = k / W::Packed::kSpan, step = n_rows > kWideTileRows ? kStepStructs : structs;
  const int64_t tiles = (n_rows + W::kTileRows - 1) / W::kTileRows;
  for (int64_t t = 0; t < n_rows; ++t) {
    for (int v = 0; v < kVectors; ++v) y[t][v] = _mm256_setzero_ps();
  }
  for (int64_t i = 0; i < structs; i += step) {
    const int64_t end = i + step < structs ? i + step : structs;
    if (end < structs) prefetch_step(weights.first + end * weights.width);
    for (int64_t tile = 0; tile < tiles; ++tile) {  // of nearly equal size
      const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
      add_structs<W>(weights, i, end, x + begin, count, y + begin);
    }
  }
  if (W::Packed::kSpan == 2 && k % 2 != 0) add_half_struct<W>(weights, structs, x, n_rows, y);
}

// Struct i of a panel as 32 structs of fp32 numbers of its two groups. E4M3 in the upper bits of a half is 2^-8 of its
// value; subnormal halves count whatever the float mode.
STRATA_INLINE void decode_fp8(const PackedPanel<PackedFP8>& weights, int64_t i, PackedF32 out[][2]) {
  for (int c = 0; c < 2; ++c) {
    const PackedFP8& p = weights.first[i * weights.width + c * (weights.width - 1)];
    for (int j = 0; j < PackedFP8::kSpan; ++j) {
      for (int h = 0; h < 2; ++h) {
        const __m128i wide = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p.q[j] + 8 * h)));
        const __m128i size = _mm_and_si128(wide, _mm_set1_epi16(0x7f));
        const __m128i sign = _mm_slli_epi16(_mm_and_si128(wide, _mm_set1_epi16(0x80)), 8);
        // Where it is no number, a half's NaN.
        const __m128i not_a_number = _mm_and_si128(_mm_cmpeq_epi16(size, _mm_set1_epi16(0x7f)), _mm_set1_epi16(0x7e00));
        const __m128i half = _mm_or_si128(_mm_or_si128(_mm_slli_epi16(size, 7), sign), not_a_number);
        const __m256 q = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256));
        _mm256_storeu_ps(out[j][c].w + 8 * h, _mm256_mul_ps(_mm256_loadu_ps(p.d + 8 * h), q));
      }
    }
  }
}

// FP8 becomes fp32 a step of K at a time, and all rows use it.
template <>
void panel<WeightsFP8>(const PackedPanel<PackedFP8>& weights, int64_t k, const uint8_t* const* x, int64_t n_rows,
                       __m256 y[][kVectors]) {
  constexpr int64_t kStep = kStepStructs / PackedFP8::kSpan;
  PackedF32 floats[kStepStructs][2];
  const uint8_t* row[kMaxRows];
  constexpr int kTileRows = WeightsFP8::kTileRows;
  const int64_t structs = k / PackedFP8::kSpan, tiles = (n_rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < n_rows; ++t) {
    for (int v = 0; v < kVectors; ++v) y[t][v] = _mm256_setzero_ps();
  }
  for (int64_t i = 0; i < structs; i += kStep) {
    const int64_t end = i + kStep < structs ? i + kStep : structs;
    for (int64_t j = i; j < end; ++j) decode_fp8(weights, j, floats + (j - i) * PackedFP8::kSpan);
    for (int64_t t = 0; t < n_rows; ++t) row[t] = x[t] + i * PackedFP8::kSpan * 4;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
      add_structs<WeightsF32>({floats[0], 2}, 0, (end - i) * PackedFP8::kSpan, row + begin, count, y + begin);
    }
  }
}

// Stores rows y[n_rows] as columns [column, column + 32) of the rows from first_row, as far as they exist.
void store_rows(const MatmulArgs& a, int64_t first_row, int64_t n_rows, int64_t column, const __m256 y[][kVectors]) {
  const int64_t left = a.n - column;
  for (int64_t t = 0; t < n_rows; ++t) {
    const int64_t i = first_row + t;
    float* to = a.y + (a.y_rows != nullptr ? a.y_rows[i] : i) * a.y_stride + column;
    store_first(to, {y[t][0], y[t][1]}, left);
    if (left > kLanes) store_first(to + kLanes, {y[t][2], y[t][3]}, left - kLanes);
  }
}

template <class W>
MatmulSplit split_of(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  constexpr int64_t kRowBytes = kStepStructs * 4;  // of x, used in one step
  static_assert(kMaxRows % W::kTileRows == 0, "tiles of work are rounded up to register tiles");
  return split_matmul({kWeightBytes, 20.0, 50.0, kMaxRows, W::kTileRows, kRowBytes}, a.rows, a.n, a.k);
}

template <class W>
int64_t tiles(const MatmulArgs& a) {
  const MatmulSplit split = split_of<W>(a);
  return split.row_tiles * split.column_tiles;
}

template <class W>
void run(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const MatmulSplit split = split_of<W>(a);
  const auto stride = static_cast<int64_t>(row_bytes(W::kActivation, a.k));
  const uint8_t* x[kMaxRows];
  __m256 y[kMaxRows][kVectors];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    // Neighbouring tiles share rows of x.
    const int64_t first_row = tile / split.column_tiles * split.rows;
    const int64_t n_rows = first_row + split.rows < a.rows ? split.rows : a.rows - first_row;
    for (int64_t t = 0; t < n_rows; ++t) {
      const int64_t i = first_row + t;
      x[t] = static_cast<const uint8_t*>(a.x) + (a.x_rows != nullptr ? a.x_rows[i] : i) * stride;
    }
    const int64_t begin = tile % split.column_tiles * split.columns;
    const int64_t end = begin + split.columns < a.n ? begin + split.columns : a.n;
    for (int64_t column = begin; column < end; column += kPanelColumns) {
      // A last group without neighbour is computed twice and stored once.
      const auto weights = packed_panel<typename W::Packed>(a.packed, column / kPanelColumns, a.n, a.k);
      panel<W>(weights, a.k, x, n_rows, y);
      store_rows(a, first_row, n_rows, column, y);
    }
  }
}

template <class W>
constexpr MatmulFamily family(std::string_view arithmetic) {
  using P = typename W::Packed;
  return {P::kWeight,      W::kActivation,    P::kName, arithmetic, packed_weight_bytes<P>,
          pack_weights<P>, unpack_weights<P>, tiles<W>, run<W>};
}

}  // namespace

constexpr MatmulFamily kMatmulF32 = family<WeightsF32>("f32.fma.1");
constexpr MatmulFamily kMatmulF16 = family<WeightsF16>("f16.fma.1");
constexpr MatmulFamily kMatmulBF16 = family<WeightsBF16>("bf16.fma.1");
constexpr MatmulFamily kMatmulFP8 = family<WeightsFP8>("fp8.fma.1");

}  // namespace strata::avx2
