// Quantized weights times int8 activations, by vpdpbusd; the arithmetic is that of kernels/reference/matmul.h.
//
// A register tile is up to 6 rows of x by 32 outputs (two groups of packed rows, a panel). Few rows decode the packed
// numbers in registers, straight from memory. For many rows the panel of one struct is decoded once into the
// first-level cache and used by all rows of the tile of work; what is decoded has few forms (PanelForm), so all types
// of a form share that kernel. Both sum the same integers, so they give the same bits.
//
// Numbers of x are stored as x + 128 without sign: the sum over a group is  sum (x + 128) w - 128 sum w.
#pragma once

#include "compute/kernels/activation.h"
#include "compute/kernels/cpu/avx512/quantized_weights.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata::avx512 {

inline constexpr int kQuantizedTileRows = 6;
inline constexpr int kQuantizedMaxRows = 132;  // of a tile of work
inline constexpr int kDirectRows = 12;         // up to here decoding in registers is faster than through the panel

// A struct of both groups of a panel, ready to be multiplied.
template <class F>
struct DecodedPanel {
  __m512i number[F::kGroups][F::kVectors][2];
  __m512i correction[F::kGroups][2];  // -128 sum w
  __m512 scale[F::kGroups][2];
  __m512 d[2], dmin[2];
  __m512 plain_minimum[F::kMinima == Minima::kPlain ? F::kGroups : 1][2];
  __m512i whole_minima[F::kMinima == Minima::kWhole ? F::kGroups / 2 : 1][2];  // pairs of int16
};

// Struct i of group c of a panel.
template <class W>
STRATA_INLINE const typename W::Packed& at(const PackedPanel<typename W::Packed>& panel, int64_t i, int c) {
  return panel.first[i * panel.width + c * (panel.width - 1)];
}

// Memory is asked for this far ahead of its use: one part of the panel's next structs for each group g.
inline constexpr int kPrefetchBytes = 6144;
template <class W>
STRATA_INLINE void prefetch_part(const typename W::Packed& p, int g) {
  constexpr int kGroups = W::Form::kGroups;
  constexpr int kLines = (static_cast<int>(2 * sizeof(p)) + 64 * kGroups - 1) / (64 * kGroups);
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
STRATA_INLINE void decode_panel(const PackedPanel<typename W::Packed>& weights, int64_t i,
                                DecodedPanel<typename W::Form>& panel) {
  using F = typename W::Form;
  const __m512i all_128 = _mm512_set1_epi8(-128);
  for (int g0 = 0; g0 < F::kGroups; g0 += W::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < W::kUnroll; ++u) {
      const int g = g0 + u;
      STRATA_UNROLL
      for (int c = 0; c < 2; ++c) {
        const typename W::Packed& p = at<W>(weights, i, c);
        __m512i sum = _mm512_setzero_si512();
        STRATA_UNROLL
        for (int v = 0; v < F::kVectors; ++v) {
          const __m512i w = W::vector(p, g0, u, v);
          panel.number[g][v][c] = w;
          sum = _mm512_dpbusd_epi32(sum, all_128, w);
        }
        panel.correction[g][c] = _mm512_sub_epi32(_mm512_setzero_si512(), sum);
        panel.scale[g][c] = W::scale(p, g0, u);
        if constexpr (F::kMinima == Minima::kPlain) panel.plain_minimum[g][c] = W::minimum(p, g);
      }
    }
  }
  for (int c = 0; c < 2; ++c) {
    const typename W::Packed& p = at<W>(weights, i, c);
    if constexpr (F::kHasD) panel.d[c] = W::d(p);
    if constexpr (F::kMinima == Minima::kWhole) {
      panel.dmin[c] = W::dmin(p);
      for (int j = 0; j < F::kGroups / 2; ++j) panel.whole_minima[j][c] = W::minima(p, j);
    }
  }
}

// Where add_struct takes its operands from: the panel, or struct i of both groups, for few rows.
template <class F>
struct FromPanel {
  using Form = F;
  static constexpr int kUnroll = F::kVectors == 4 ? 4 : 1;
  static constexpr bool kIsDecoded = true;
  const DecodedPanel<F>& panel;
  STRATA_INLINE __m512i vector(const FromPanel& s, int g, int u, int v, int c) { return s.panel.number[g + u][v][c]; }
  STRATA_INLINE __m512i correction(const FromPanel& s, int g, int c) { return s.panel.correction[g][c]; }
  STRATA_INLINE __m512 scale(const FromPanel& s, int g, int u, int c) { return s.panel.scale[g + u][c]; }
  STRATA_INLINE __m512 d(const FromPanel& s, int c) { return s.panel.d[c]; }
  STRATA_INLINE __m512 dmin(const FromPanel& s, int c) { return s.panel.dmin[c]; }
  STRATA_INLINE __m512 minimum(const FromPanel& s, int g, int c) { return s.panel.plain_minimum[g][c]; }
  STRATA_INLINE __m512i minima(const FromPanel& s, int j, int c) { return s.panel.whole_minima[j][c]; }
  STRATA_INLINE void prefetch(const FromPanel&, int) {}
};
template <class W>
struct FromStructs {
  using Form = typename W::Form;
  static constexpr int kUnroll = W::kUnroll;
  static constexpr bool kIsDecoded = false;
  const PackedPanel<typename W::Packed>& weights;
  int64_t i;
  STRATA_INLINE const typename W::Packed& packed(const FromStructs& s, int c) { return at<W>(s.weights, s.i, c); }
  STRATA_INLINE __m512i vector(const FromStructs& s, int g, int u, int v, int c) {
    return W::vector(packed(s, c), g, u, v);
  }
  STRATA_INLINE __m512i correction(const FromStructs&, int, int) { return _mm512_setzero_si512(); }
  STRATA_INLINE __m512 scale(const FromStructs& s, int g, int u, int c) { return W::scale(packed(s, c), g, u); }
  STRATA_INLINE __m512 d(const FromStructs& s, int c) { return W::d(packed(s, c)); }
  STRATA_INLINE __m512 dmin(const FromStructs& s, int c) { return W::dmin(packed(s, c)); }
  STRATA_INLINE __m512 minimum(const FromStructs& s, int g, int c) { return W::minimum(packed(s, c), g); }
  STRATA_INLINE __m512i minima(const FromStructs& s, int j, int c) { return W::minima(packed(s, c), j); }
  STRATA_INLINE void prefetch(const FromStructs& s, int g) { prefetch_part<W>(packed(s, 0), g); }
};

STRATA_INLINE __m512i broadcast_word(const uint8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return _mm512_set1_epi32(word);
}

// s[t][c] += scale[g] * (numbers of group g = g0 + u times x).
template <class Source, int kRows>
STRATA_INLINE void add_group(const Source& source, int g0, int u, const uint8_t* const x[kRows], __m512 s[kRows][2]) {
  constexpr int kVectors = Source::Form::kVectors;
  const int g = g0 + u;
  const __m512i all_128 = _mm512_set1_epi8(-128);
  __m512i dot[kRows][2], sum[2];
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    sum[c] = _mm512_setzero_si512();
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) dot[t][c] = Source::correction(source, g, c);
  }
  Source::prefetch(source, g);
  STRATA_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    __m512i w[2];
    STRATA_UNROLL
    for (int c = 0; c < 2; ++c) {
      w[c] = Source::vector(source, g0, u, v, c);
      if (!Source::kIsDecoded) sum[c] = _mm512_dpbusd_epi32(sum[c], all_128, w[c]);
    }
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512i word = broadcast_word(x[t] + (g * kVectors + v) * 4);
      STRATA_UNROLL
      for (int c = 0; c < 2; ++c) dot[t][c] = _mm512_dpbusd_epi32(dot[t][c], word, w[c]);
    }
  }
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    const __m512 scale = Source::scale(source, g0, u, c);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512i exact = Source::kIsDecoded ? dot[t][c] : _mm512_sub_epi32(dot[t][c], sum[c]);
      s[t][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(exact), scale, s[t][c]);
    }
  }
}

// Sum of min * sum_of_x for groups 8 j ... 8 j + 7, whose sums are pairs of int16 in every 128-bit part.
template <class Source>
STRATA_INLINE __m512i add_whole_minima(__m512i sum, const Source& source, int j, int c, __m512i x_sums) {
  sum = _mm512_dpwssd_epi32(sum, Source::minima(source, 4 * j, c), _mm512_shuffle_epi32(x_sums, _MM_PERM_AAAA));
  sum = _mm512_dpwssd_epi32(sum, Source::minima(source, 4 * j + 1, c), _mm512_shuffle_epi32(x_sums, _MM_PERM_BBBB));
  sum = _mm512_dpwssd_epi32(sum, Source::minima(source, 4 * j + 2, c), _mm512_shuffle_epi32(x_sums, _MM_PERM_CCCC));
  return _mm512_dpwssd_epi32(sum, Source::minima(source, 4 * j + 3, c), _mm512_shuffle_epi32(x_sums, _MM_PERM_DDDD));
}

// Sums of x over eight groups as pairs of int16 in every 128-bit part.
STRATA_INLINE __m512i eight_sums_of_32(const int16_t* sums_of_16) {
  const __m256i sums = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums_of_16));
  return _mm512_broadcast_i32x4(_mm256_cvtepi32_epi16(_mm256_madd_epi16(sums, _mm256_set1_epi16(1))));
}
STRATA_INLINE __m512i eight_sums_of_16(const int16_t* sums_of_16) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(sums_of_16)));
}

// y[c] -= what the minima of the struct take away; `sums` are those of a row of x over 16 numbers each, a its scale.
template <class Source>
STRATA_INLINE void add_minima(const Source& source, const int16_t* sums, __m512 a, __m512 y[2]) {
  using F = typename Source::Form;
  if constexpr (F::kMinima == Minima::kWhole) {
    const __m512i x_sums = F::kGroups == 8 ? eight_sums_of_32(sums) : eight_sums_of_16(sums);
    STRATA_UNROLL
    for (int c = 0; c < 2; ++c) {
      __m512i sum = add_whole_minima(_mm512_setzero_si512(), source, 0, c, x_sums);
      if constexpr (F::kGroups == 16) sum = add_whole_minima(sum, source, 1, c, eight_sums_of_16(sums + 8));
      y[c] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(Source::dmin(source, c), a), y[c]);
    }
  } else {
    STRATA_UNROLL
    for (int c = 0; c < 2; ++c) {
      __m512 m = _mm512_setzero_ps();
      STRATA_UNROLL
      for (int g = 0; g < F::kGroups; ++g) {
        const __m512 sum = _mm512_set1_ps(static_cast<float>(sums[2 * g] + sums[2 * g + 1]));
        m = _mm512_fmadd_ps(sum, Source::minimum(source, g, c), m);
      }
      y[c] = _mm512_fmadd_ps(m, a, y[c]);  // dmin is -1
    }
  }
}

// y[t][c] += struct i times x.
template <class Source, int kRows>
STRATA_INLINE void add_struct(const Source& source, int64_t i, const ActivationRow* rows, __m512 y[kRows][2]) {
  using F = typename Source::Form;
  constexpr int kSpan = F::kGroups * F::kVectors * 4;
  const uint8_t* x[kRows];
  __m512 s[kRows][2];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    x[t] = rows[t].value + i * kSpan;
    s[t][0] = s[t][1] = _mm512_setzero_ps();
  }
  for (int g = 0; g < F::kGroups; g += Source::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < Source::kUnroll; ++u) add_group<Source, kRows>(source, g, u, x, s);
  }
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    const __m512 a = _mm512_set1_ps(rows[t].scale[i]);
    STRATA_UNROLL
    for (int c = 0; c < 2; ++c) {
      __m512 factor = a;
      if constexpr (F::kHasD) factor = _mm512_mul_ps(Source::d(source, c), a);
      y[t][c] = _mm512_fmadd_ps(s[t][c], factor, y[t][c]);
    }
    if constexpr (F::kMinima != Minima::kNone) add_minima(source, rows[t].sum + i * (kSpan / 16), a, y[t]);
  }
}

// Where the results of a panel go: 32 columns of the rows, of which `columns` exist.
struct Output {
  const MatmulArgs& args;
  int64_t first_row, first_column;
  STRATA_INLINE void store(const Output& out, int64_t row, __m512 low, __m512 high) {
    const int64_t i = out.first_row + row, left = out.args.n - out.first_column;
    float* y =
        out.args.y + (out.args.y_rows != nullptr ? out.args.y_rows[i] : i) * out.args.y_stride + out.first_column;
    _mm512_mask_storeu_ps(y, first_lanes(left), low);
    if (left > kLanes) _mm512_mask_storeu_ps(y + kLanes, first_lanes(left - kLanes), high);
  }
};

template <class W, int kRows>
__attribute__((noinline)) void direct_tile(const PackedPanel<typename W::Packed>& weights, int64_t structs,
                                           const ActivationRow* rows, const Output& out, int64_t row) {
  __m512 y[kRows][2];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) y[t][0] = y[t][1] = _mm512_setzero_ps();
  for (int64_t i = 0; i < structs; ++i) add_struct<FromStructs<W>, kRows>({weights, i}, i, rows, y);
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) Output::store(out, row + t, y[t][0], y[t][1]);
}

template <class F, int kRows>
__attribute__((noinline)) void panel_tile(const DecodedPanel<F>& panel, int64_t i, const ActivationRow* rows,
                                          __m512 y[][2]) {
  add_struct<FromPanel<F>, kRows>({panel}, i, rows, y);
}

template <class W>
void direct_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows,
                  int64_t n_rows, const Output& out) {
  const int64_t tiles = (n_rows + kQuantizedTileRows - 1) / kQuantizedTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {  // of nearly equal size
    const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
    switch (count) {
      case 1:
        direct_tile<W, 1>(weights, structs, rows + begin, out, begin);
        break;
      case 2:
        direct_tile<W, 2>(weights, structs, rows + begin, out, begin);
        break;
      case 3:
        direct_tile<W, 3>(weights, structs, rows + begin, out, begin);
        break;
      case 4:
        direct_tile<W, 4>(weights, structs, rows + begin, out, begin);
        break;
      case 5:
        direct_tile<W, 5>(weights, structs, rows + begin, out, begin);
        break;
      default:
        direct_tile<W, 6>(weights, structs, rows + begin, out, begin);
        break;
    }
  }
}

template <class W>
void decoded_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows,
                   int64_t n_rows, const Output& out) {
  static_assert(kDirectRows >= kQuantizedTileRows, "tiles below have at least half of kQuantizedTileRows rows");
  using F = typename W::Form;
  __m512 y[kQuantizedMaxRows][2];
  DecodedPanel<F> panel;
  for (int64_t t = 0; t < n_rows; ++t) y[t][0] = y[t][1] = _mm512_setzero_ps();
  const int64_t tiles = (n_rows + kQuantizedTileRows - 1) / kQuantizedTileRows;
  for (int64_t i = 0; i < structs; ++i) {
    decode_panel<W>(weights, i, panel);
    if (i + 1 < structs) prefetch_struct<W>(at<W>(weights, i + 1, 0));
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
      switch (count) {
        case 3:
          panel_tile<F, 3>(panel, i, rows + begin, y + begin);
          break;
        case 4:
          panel_tile<F, 4>(panel, i, rows + begin, y + begin);
          break;
        case 5:
          panel_tile<F, 5>(panel, i, rows + begin, y + begin);
          break;
        default:
          panel_tile<F, 6>(panel, i, rows + begin, y + begin);
          break;
      }
    }
  }
  for (int64_t t = 0; t < n_rows; ++t) Output::store(out, t, y[t][0], y[t][1]);
}

template <class W>
MatmulSplit split_quantized(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  return split_matmul({kWeightBytes, 20.0, 350.0, kQuantizedMaxRows, kQuantizedTileRows, a.k}, a.rows, a.n, a.k);
}

template <class W>
int64_t quantized_tiles(const MatmulArgs& a) {
  const MatmulSplit split = split_quantized<W>(a);
  return split.row_tiles * split.column_tiles;
}

template <class W, DType kActivation>
void run_quantized(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const MatmulSplit split = split_quantized<W>(a);
  const auto stride = static_cast<int64_t>(row_bytes(kActivation, a.k));
  const int64_t structs = group_structs<typename W::Packed>(a.k);
  ActivationRow rows[kQuantizedMaxRows];
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
constexpr MatmulFamily quantized_family(std::string_view arithmetic, const MatmulFamily* other_k = nullptr) {
  using P = typename W::Packed;
  return {P::kWeight,
          kActivation,
          P::kName,
          arithmetic,
          packed_weight_bytes<P>,
          pack_weights<P>,
          unpack_weights<P>,
          quantized_tiles<W>,
          run_quantized<W, kActivation>,
          other_k};
}

}  // namespace strata::avx512
