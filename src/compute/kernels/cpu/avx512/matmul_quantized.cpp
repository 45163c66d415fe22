// Quantized weights times int8 activations, by vpdpbusd; the arithmetic is that of kernels/reference/matmul.h.
//
// A register tile is up to 6 rows of x by 32 outputs (two groups of packed rows, a panel). Few rows decode the packed
// numbers in registers, straight from memory. For many rows the panel of one struct is decoded once into the first-level
// cache and used by all rows of the tile of work. Both sum the same integers, so they give the same bits.
//
// Numbers of x are stored as x + 128 without sign: the sum over a group is  sum (x + 128) w - 128 sum w.
#include "compute/kernels/activation.h"
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/quantized_weights.h"
#include "compute/kernels/cpu/matmul_split.h"

namespace strata::avx512 {
namespace {

constexpr int kTileRows = 6;
constexpr int kMaxRows = 132;   // of a tile of work
constexpr int kDirectRows = 12;  // up to here decoding in registers is faster than through the panel

template <class W>
struct DecodedPanel {
  __m512i number[W::kGroups][W::kVectors][2];
  __m512i correction[W::kGroups][2];  // -128 sum w
  __m512 scale[W::kGroups][2];
};

// Struct i of group c of a panel.
template <class W>
STRATA_INLINE const typename W::Packed& at(const PackedPanel<typename W::Packed>& panel, int64_t i, int c) {
  return panel.first[i * panel.width + c * (panel.width - 1)];
}

// Memory is asked for this far ahead of its use: one part of the panel's next structs for each group g.
constexpr int kPrefetchBytes = 6144;
template <class W>
STRATA_INLINE void prefetch_part(const typename W::Packed& p, int g) {
  constexpr int kLines = (static_cast<int>(2 * sizeof(p)) + 64 * W::kGroups - 1) / (64 * W::kGroups);
  // As a number: at the end of the weights there is no memory ahead, which a prefetch, unlike a pointer, may ignore.
  const uintptr_t ahead = reinterpret_cast<uintptr_t>(&p) + static_cast<uintptr_t>(kPrefetchBytes + g * kLines * 64);
  STRATA_UNROLL
  for (int line = 0; line < kLines; ++line) {
    _mm_prefetch(reinterpret_cast<const char*>(ahead + 64 * static_cast<uintptr_t>(line)), _MM_HINT_T0);
  }
}

// The same for all of the panel's structs at p, to be used some microseconds later.
template <class W>
STRATA_INLINE void prefetch_struct(const typename W::Packed& p) {
  for (size_t line = 0; line < 2 * sizeof(p); line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(&p) + line), _MM_HINT_T1);
  }
}

template <class W>
STRATA_INLINE void decode_panel(const PackedPanel<typename W::Packed>& weights, int64_t i, DecodedPanel<W>& panel) {
  const __m512i all_128 = _mm512_set1_epi8(-128);
  for (int g0 = 0; g0 < W::kGroups; g0 += W::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < W::kUnroll; ++u) {
      const int g = g0 + u;
      STRATA_UNROLL
      for (int c = 0; c < 2; ++c) {
        const typename W::Packed& p = at<W>(weights, i, c);
        __m512i sum = _mm512_setzero_si512();
        STRATA_UNROLL
        for (int v = 0; v < W::kVectors; ++v) {
          const __m512i w = W::vector(p, g0, u, v);
          panel.number[g][v][c] = w;
          sum = _mm512_dpbusd_epi32(sum, all_128, w);
        }
        panel.correction[g][c] = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
        panel.scale[g][c] = W::scale(p, g);
      }
    }
  }
}

STRATA_INLINE __m512i broadcast_word(const uint8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return _mm512_set1_epi32(word);
}

// s[t][c] += scale[g] * (numbers of group g = g0 + u times x): the numbers come from the panel, or straight from the structs.
template <class W, int kRows, bool kFromPanel>
STRATA_INLINE void add_group(const PackedPanel<typename W::Packed>& weights, const DecodedPanel<W>* panel, int64_t i, int g0, int u,
                             const uint8_t* const x[kRows], __m512 s[kRows][2]) {
  const int g = g0 + u;
  const __m512i all_128 = _mm512_set1_epi8(-128);
  __m512i dot[kRows][2], sum[2];
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    sum[c] = _mm512_setzero_si512();
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) dot[t][c] = kFromPanel ? panel->correction[g][c] : sum[c];
  }
  if (!kFromPanel) prefetch_part<W>(at<W>(weights, i, 0), g);
  STRATA_UNROLL
  for (int v = 0; v < W::kVectors; ++v) {
    __m512i w[2];
    STRATA_UNROLL
    for (int c = 0; c < 2; ++c) {
      w[c] = kFromPanel ? panel->number[g][v][c] : W::vector(at<W>(weights, i, c), g0, u, v);
      if (!kFromPanel) sum[c] = _mm512_dpbusd_epi32(sum[c], all_128, w[c]);
    }
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512i word = broadcast_word(x[t] + (g * W::kVectors + v) * 4);
      STRATA_UNROLL
      for (int c = 0; c < 2; ++c) dot[t][c] = _mm512_dpbusd_epi32(dot[t][c], word, w[c]);
    }
  }
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    const __m512 scale = kFromPanel ? panel->scale[g][c] : W::scale(at<W>(weights, i, c), g);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512i exact = kFromPanel ? dot[t][c] : _mm512_sub_epi32(dot[t][c], sum[c]);
      s[t][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), scale, s[t][c]);
    }
  }
}

// sum of min * sum_of_x over the struct.
template <class W>
STRATA_INLINE __m512i sum_minima(const typename W::Packed& p, __m512i x_sums) {
  __m512i sum = _mm512_dpwssd_epi32(_mm512_setzero_si512(), W::minima(p, 0), _mm512_shuffle_epi32(x_sums, _MM_PERM_AAAA));
  sum = _mm512_dpwssd_epi32(sum, W::minima(p, 1), _mm512_shuffle_epi32(x_sums, _MM_PERM_BBBB));
  sum = _mm512_dpwssd_epi32(sum, W::minima(p, 2), _mm512_shuffle_epi32(x_sums, _MM_PERM_CCCC));
  return _mm512_dpwssd_epi32(sum, W::minima(p, 3), _mm512_shuffle_epi32(x_sums, _MM_PERM_DDDD));
}

// Sums over 32 numbers, the eight of a struct, as pairs of int16 in every 128-bit part.
STRATA_INLINE __m512i sums_of_32(const int16_t* sums_of_16) {
  const __m256i sums = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums_of_16));
  return _mm512_broadcast_i32x4(_mm256_cvtepi32_epi16(_mm256_madd_epi16(sums, _mm256_set1_epi16(1))));
}

// y[t][c] += struct i times x.
template <class W, int kRows, bool kFromPanel>
STRATA_INLINE void add_struct(const PackedPanel<typename W::Packed>& weights, const DecodedPanel<W>* panel, int64_t i, const ActivationRow* rows,
                              __m512 y[kRows][2]) {
  constexpr int kSpan = W::Packed::kSpan;
  const uint8_t* x[kRows];
  __m512 s[kRows][2];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    x[t] = rows[t].value + i * kSpan;
    s[t][0] = s[t][1] = _mm512_setzero_ps();
  }
  for (int g = 0; g < W::kGroups; g += W::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < W::kUnroll; ++u) add_group<W, kRows, kFromPanel>(weights, panel, i, g, u, x, s);
  }
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    const __m512 a = _mm512_set1_ps(rows[t].scale[i]);
    __m512i x_sums;
    if constexpr (W::kHasMin) x_sums = sums_of_32(rows[t].sum + i * (kSpan / 16));
    STRATA_UNROLL
    for (int c = 0; c < 2; ++c) {
      const typename W::Packed& p = at<W>(weights, i, c);
      if constexpr (W::kHasD) {
        y[t][c] = _mm512_fmadd_ps(s[t][c], _mm512_mul_ps(W::d(p), a), y[t][c]);
      } else {
        y[t][c] = _mm512_fmadd_ps(s[t][c], a, y[t][c]);
      }
      if constexpr (W::kHasMin) {
        const __m512 minima = _mm512_cvtepi32_ps(sum_minima<W>(p, x_sums));
        y[t][c] = _mm512_fnmadd_ps(minima, _mm512_mul_ps(W::dmin(p), a), y[t][c]);
      }
    }
  }
}

// Where the results of a panel go: 32 columns of the rows, of which `columns` exist.
struct Output {
  const MatmulArgs& args;
  int64_t first_row, first_column;
  STRATA_INLINE void store(const Output& out, int64_t row, __m512 low, __m512 high) {
    const int64_t i = out.first_row + row, left = out.args.n - out.first_column;
    float* y = out.args.y + (out.args.y_rows != nullptr ? out.args.y_rows[i] : i) * out.args.y_stride + out.first_column;
    _mm512_mask_storeu_ps(y, first_lanes(left), low);
    if (left > kLanes) _mm512_mask_storeu_ps(y + kLanes, first_lanes(left - kLanes), high);
  }
};

template <class W, int kRows>
__attribute__((noinline)) void direct_tile(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows, const Output& out, int64_t row) {
  __m512 y[kRows][2];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) y[t][0] = y[t][1] = _mm512_setzero_ps();
  for (int64_t i = 0; i < structs; ++i) add_struct<W, kRows, false>(weights, nullptr, i, rows, y);
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) Output::store(out, row + t, y[t][0], y[t][1]);
}

template <class W, int kRows>
__attribute__((noinline)) void panel_tile(const PackedPanel<typename W::Packed>& weights, const DecodedPanel<W>& panel, int64_t i, const ActivationRow* rows, __m512 y[][2]) {
  add_struct<W, kRows, true>(weights, &panel, i, rows, y);
}

template <class W>
void direct_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows, int64_t n_rows, const Output& out) {
  const int64_t tiles = (n_rows + kTileRows - 1) / kTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {  // of nearly equal size
    const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
    switch (count) {
      case 1: direct_tile<W, 1>(weights, structs, rows + begin, out, begin); break;
      case 2: direct_tile<W, 2>(weights, structs, rows + begin, out, begin); break;
      case 3: direct_tile<W, 3>(weights, structs, rows + begin, out, begin); break;
      case 4: direct_tile<W, 4>(weights, structs, rows + begin, out, begin); break;
      case 5: direct_tile<W, 5>(weights, structs, rows + begin, out, begin); break;
      default: direct_tile<W, 6>(weights, structs, rows + begin, out, begin); break;
    }
  }
}

template <class W>
void decoded_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows, int64_t n_rows, const Output& out) {
  static_assert(kDirectRows >= kTileRows, "tiles below have at least half of kTileRows rows");
  __m512 y[kMaxRows][2];
  DecodedPanel<W> panel;
  for (int64_t t = 0; t < n_rows; ++t) y[t][0] = y[t][1] = _mm512_setzero_ps();
  const int64_t tiles = (n_rows + kTileRows - 1) / kTileRows;
  for (int64_t i = 0; i < structs; ++i) {
    decode_panel<W>(weights, i, panel);
    if (i + 1 < structs) prefetch_struct<W>(at<W>(weights, i + 1, 0));
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
      switch (count) {
        case 3: panel_tile<W, 3>(weights, panel, i, rows + begin, y + begin); break;
        case 4: panel_tile<W, 4>(weights, panel, i, rows + begin, y + begin); break;
        case 5: panel_tile<W, 5>(weights, panel, i, rows + begin, y + begin); break;
        default: panel_tile<W, 6>(weights, panel, i, rows + begin, y + begin); break;
      }
    }
  }
  for (int64_t t = 0; t < n_rows; ++t) Output::store(out, t, y[t][0], y[t][1]);
}

template <class W>
MatmulSplit split_of(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  return split_matmul({kWeightBytes, 20.0, 350.0, kMaxRows, kTileRows, a.k}, a.rows, a.n, a.k);
}

template <class W>
int64_t tiles(const MatmulArgs& a) {
  const MatmulSplit split = split_of<W>(a);
  return split.row_tiles * split.column_tiles;
}

template <class W, DType kActivation>
void run(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const MatmulSplit split = split_of<W>(a);
  const auto stride = static_cast<int64_t>(row_bytes(kActivation, a.k));
  const int64_t structs = group_structs<typename W::Packed>(a.k);
  ActivationRow rows[kMaxRows];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    // Neighbouring tiles share rows of x.
    const int64_t first_row = tile / split.column_tiles * split.rows;
    const int64_t n_rows = first_row + split.rows < a.rows ? split.rows : a.rows - first_row;
    for (int64_t t = 0; t < n_rows; ++t) {
      const int64_t i = first_row + t;
      rows[t] = activation_row(a.x, a.x_rows != nullptr ? a.x_rows[i] : i, stride, a.k, W::Packed::kSpan);
    }
    const int64_t begin = tile % split.column_tiles * split.columns;
    const int64_t end = begin + split.columns < a.n ? begin + split.columns : a.n;
    for (int64_t column = begin; column < end; column += kPanelColumns) {
      // A last group without neighbour is computed twice and stored once.
      const auto weights = packed_panel<typename W::Packed>(a.packed, column / kPanelColumns, a.n, a.k);
      const Output out = {a, first_row, column};
      if (n_rows <= kDirectRows) {
        direct_panel<W>(weights, structs, rows, n_rows, out);
      } else {
        decoded_panel<W>(weights, structs, rows, n_rows, out);
      }
    }
  }
}

template <class W, DType kActivation>
constexpr MatmulFamily family(std::string_view arithmetic, const MatmulFamily* other_k = nullptr) {
  using P = typename W::Packed;
  return {P::kWeight,      kActivation,       P::kName, arithmetic,          packed_weight_bytes<P>,
          pack_weights<P>, unpack_weights<P>, tiles<W>, run<W, kActivation>, other_k};
}

}  // namespace

constexpr MatmulFamily kMatmulQ8_0x32 = family<WeightsQ8_0<1>, DType::kActQ8x32>("q8_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ4_0x32 = family<WeightsQ4_0<1>, DType::kActQ8x32>("q4_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ8_0 = family<WeightsQ8_0<8>, DType::kActQ8>("q8_0.fma.1", &kMatmulQ8_0x32);
constexpr MatmulFamily kMatmulQ4_0 = family<WeightsQ4_0<8>, DType::kActQ8>("q4_0.fma.1", &kMatmulQ4_0x32);
constexpr MatmulFamily kMatmulQ4_K = family<WeightsQ4_K, DType::kActQ8>("q4_k.fma.1");
constexpr MatmulFamily kMatmulQ6_K = family<WeightsQ6_K, DType::kActQ8>("q6_k.fma.1");

}  // namespace strata::avx512
