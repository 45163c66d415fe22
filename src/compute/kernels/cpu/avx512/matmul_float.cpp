// F32 and F16 weights times fp32 rows, BF16 weights times bf16 rows: one chain of fma (vdpbf16ps) per output, K
// ascending.
//
// A register tile is up to 12 rows of x by 32 outputs, two groups of packed rows. Many rows take K in steps, so that
// this part of the weights stays in the first-level cache while all rows of the tile of work use it; the sums wait in
// memory between the steps, which changes no bit.
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/packed_weights.h"

namespace strata::avx512 {
namespace {

constexpr int kTileRows = 12;
constexpr int kMaxRows = 144;  // of a tile of work
constexpr int kStepStructs = 128;

// multiply_add(sum, word of x, struct): x holds one word of four bytes for each struct.
struct WeightsF32 {
  using Packed = PackedF32;
  static constexpr DType kActivation = DType::kF32;
  STRATA_INLINE __m512 load(const Packed& p) { return _mm512_loadu_ps(p.w); }
  STRATA_INLINE __m512 multiply_add(__m512 sum, float x, __m512 w) {
    return _mm512_fmadd_ps(_mm512_set1_ps(x), w, sum);
  }
};
struct WeightsF16 {
  using Packed = PackedF16;
  static constexpr DType kActivation = DType::kF32;
  STRATA_INLINE __m512 load(const Packed& p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p.w)));
  }
  STRATA_INLINE __m512 multiply_add(__m512 sum, float x, __m512 w) {
    return _mm512_fmadd_ps(_mm512_set1_ps(x), w, sum);
  }
};
struct WeightsBF16 {
  using Packed = PackedBF16;
  static constexpr DType kActivation = DType::kActBF16;
  STRATA_INLINE __m512 load(const Packed& p) { return _mm512_loadu_ps(reinterpret_cast<const float*>(p.w)); }
  STRATA_INLINE __m512 multiply_add(__m512 sum, float x, __m512 w) {
    const __m512i pair = _mm512_castps_si512(_mm512_set1_ps(x));
    return _mm512_dpbf16_ps(sum, (__m512bh)pair, (__m512bh)_mm512_castps_si512(w));
  }
};

struct WeightsFP8 {
  using Packed = PackedFP8;
  static constexpr DType kActivation = DType::kF32;
};

STRATA_INLINE float load_word(const uint8_t* p) {
  float word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// y[t][c] += structs [begin, end) times x; x[t] is row t, word i of which belongs to struct i.
template <class W, int kRows>
void add_structs(const PackedPanel<typename W::Packed>& weights, int64_t begin, int64_t end, const uint8_t* const* x,
                 __m512 y[][2]) {
  __m512 sum[kRows][2];
  const uint8_t* row[kRows];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    row[t] = x[t];
    sum[t][0] = y[t][0];
    sum[t][1] = y[t][1];
  }
  const typename W::Packed* p = weights.first + begin * weights.width;
  for (int64_t i = begin; i < end; ++i, p += weights.width) {
    const __m512 w0 = W::load(p[0]), w1 = W::load(p[weights.width - 1]);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const float word = load_word(row[t] + 4 * i);
      sum[t][0] = W::multiply_add(sum[t][0], word, w0);
      sum[t][1] = W::multiply_add(sum[t][1], word, w1);
    }
  }
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    y[t][0] = sum[t][0];
    y[t][1] = sum[t][1];
  }
}

template <class W>
void add_structs(const PackedPanel<typename W::Packed>& weights, int64_t begin, int64_t end, const uint8_t* const* x,
                 int64_t n_rows, __m512 y[][2]) {
  switch (n_rows) {
    case 1:
      return add_structs<W, 1>(weights, begin, end, x, y);
    case 2:
      return add_structs<W, 2>(weights, begin, end, x, y);
    case 3:
      return add_structs<W, 3>(weights, begin, end, x, y);
    case 4:
      return add_structs<W, 4>(weights, begin, end, x, y);
    case 5:
      return add_structs<W, 5>(weights, begin, end, x, y);
    case 6:
      return add_structs<W, 6>(weights, begin, end, x, y);
    case 7:
      return add_structs<W, 7>(weights, begin, end, x, y);
    case 8:
      return add_structs<W, 8>(weights, begin, end, x, y);
    case 9:
      return add_structs<W, 9>(weights, begin, end, x, y);
    case 10:
      return add_structs<W, 10>(weights, begin, end, x, y);
    case 11:
      return add_structs<W, 11>(weights, begin, end, x, y);
    default:
      return add_structs<W, 12>(weights, begin, end, x, y);
  }
}

// The last struct of an odd k: its second number of x does not exist.
template <class W>
void add_half_struct(const PackedPanel<typename W::Packed>& weights, int64_t i, const uint8_t* const* x, int64_t n_rows,
                     __m512 y[][2]) {
  for (int64_t t = 0; t < n_rows; ++t) {
    uint32_t word = 0;
    __builtin_memcpy(&word, x[t] + 4 * i, 2);
    float pair;
    __builtin_memcpy(&pair, &word, sizeof(pair));
    for (int c = 0; c < 2; ++c)
      y[t][c] = W::multiply_add(y[t][c], pair, W::load(weights.first[i * weights.width + c * (weights.width - 1)]));
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
           __m512 y[][2]) {
  const int64_t structs = k / W::Packed::kSpan, step = n_rows > kTileRows ? kStepStructs : structs;
  const int64_t tiles = (n_rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < n_rows; ++t) y[t][0] = y[t][1] = _mm512_setzero_ps();
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
    const __m512 d = _mm512_loadu_ps(p.d);
    for (int j = 0; j < PackedFP8::kSpan; ++j) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p.q[j]));
      const __m256i wide = _mm256_cvtepu8_epi16(bytes);
      const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x7f)), 7);
      const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x80)), 8);
      const __m512 q = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(magnitude, sign)), _mm512_set1_ps(256));
      const __mmask16 not_a_number =
          _mm_cmpeq_epi8_mask(_mm_and_si128(bytes, _mm_set1_epi8(0x7f)), _mm_set1_epi8(0x7f));
      const __m512 w = _mm512_mask_mov_ps(q, not_a_number, _mm512_set1_ps(__builtin_nanf("")));
      _mm512_storeu_ps(out[j][c].w, _mm512_mul_ps(d, w));
    }
  }
}

// FP8 becomes fp32 a step of K at a time, and all rows use it.
template <>
void panel<WeightsFP8>(const PackedPanel<PackedFP8>& weights, int64_t k, const uint8_t* const* x, int64_t n_rows,
                       __m512 y[][2]) {
  constexpr int64_t kStep = kStepStructs / PackedFP8::kSpan;
  PackedF32 floats[kStepStructs][2];
  const uint8_t* row[kMaxRows];
  const int64_t structs = k / PackedFP8::kSpan, tiles = (n_rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < n_rows; ++t) y[t][0] = y[t][1] = _mm512_setzero_ps();
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
void store(const MatmulArgs& a, int64_t first_row, int64_t n_rows, int64_t column, const __m512 y[][2]) {
  const int64_t left = a.n - column;
  for (int64_t t = 0; t < n_rows; ++t) {
    const int64_t i = first_row + t;
    float* to = a.y + (a.y_rows != nullptr ? a.y_rows[i] : i) * a.y_stride + column;
    _mm512_mask_storeu_ps(to, first_lanes(left), y[t][0]);
    if (left > kLanes) _mm512_mask_storeu_ps(to + kLanes, first_lanes(left - kLanes), y[t][1]);
  }
}

template <class W>
MatmulSplit split_of(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  constexpr double kProductsPerNs = W::Packed::kSpan == 2 ? 180.0 : 100.0;
  constexpr int64_t kRowBytes = kStepStructs * 4;  // of x, used in one step
  return split_matmul({kWeightBytes, 20.0, kProductsPerNs, kMaxRows, kTileRows, kRowBytes}, a.rows, a.n, a.k);
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
  __m512 y[kMaxRows][2];
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
      store(a, first_row, n_rows, column, y);
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
constexpr MatmulFamily kMatmulBF16 = family<WeightsBF16>("bf16.dpbf16.1");
constexpr MatmulFamily kMatmulFP8 = family<WeightsFP8>("fp8.fma.1");

}  // namespace strata::avx512
