// Quantized weights times int8 activations without VNNI; the arithmetic is that of kernels/reference/matmul.h: sums of
// whole numbers are exact, so any way to add them gives the same bits.
//
// The multiplication is vpmaddubsw: 32 products of a number without sign and one with, added in pairs into int16 with
// saturation, so no pair may leave int16. As long as their sum cannot leave it either, pairs of several vectors are
// added as int16 before vpmaddwd brings them into int32. How many follows from the largest numbers (vectors_in_int16).
//
// Many rows: the panel of one struct is decoded once into the first-level cache, as numbers with sign, and used by all
// rows of the tile of work; what is decoded has few forms (PanelForm), so all types of a form share that kernel. x
// stands in its row without sign, x + 128 in 1 ... 255, so a sum over a group is  sum (x + 128) w - 128 sum w.  An int8
// is decoded into two parts of four bits: no pair of its products with x + 128 is sure to stay in int16.
//
// Few rows: the packed numbers are decoded in registers, straight from memory. They stay without sign and x takes it:
//   sum number x - offset sum x;  int8:  sum |w| (x with the sign of w), where |w| <= 128 and |x| <= 127.
#pragma once

#include "compute/kernels/activation.h"
#include "compute/kernels/cpu/avx2/decoded_panel.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata::avx2 {

inline constexpr int kQuantizedTileRows = 6;   // 12 sums, 2 vectors of weights, x and a product fill the 16 registers
inline constexpr int kQuantizedMaxRows = 132;  // of a tile of work
inline constexpr int kDirectRows = 3;          // up to here decoding in registers is faster than through the panel

// Struct i of group c of a panel.
template <class W>
STRATA_INLINE const typename W::Packed& at(const PackedPanel<typename W::Packed>& panel, int64_t i, int c) {
  return panel.first[i * panel.width + c * (panel.width - 1)];
}

// Memory is asked for this far ahead of its use: one part of the next structs for each group g.
inline constexpr int kPrefetchBytes = 6144;
template <class W>
STRATA_INLINE void prefetch_part(const typename W::Packed& p, int g) {
  constexpr int kGroups = W::Form::kGroups;
  constexpr int kLines = (static_cast<int>(sizeof(p)) + 64 * kGroups - 1) / (64 * kGroups);
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

// a, which is a sum and stays one summand of the next: in another order the compiler would need more registers than
// there are.
STRATA_INLINE __m256i in_this_order(__m256i a) {
  asm("" : "+x"(a));
  return a;
}

STRATA_INLINE __m256i broadcast_word(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return _mm256_set1_epi32(word);
}

// dot[t][h] = (numbers of group g) times x, exact; x[t] are rows without sign.
template <class F, int kRows>
STRATA_INLINE void multiply_decoded(const DecodedGroup<F>& w, int g, const uint8_t* const x[kRows],
                                    __m256i dot[kRows][2]) {
  STRATA_UNROLL
  for (int part = 0; part < F::kParts; ++part) {
    asm("" ::: "memory");  // x is read again for each part: there are no registers to keep it in
    STRATA_UNROLL
    for (int v0 = 0; v0 < F::kVectors; v0 += F::kChunk) {
      __m256i sum[kRows][2];
      STRATA_UNROLL
      for (int v = v0; v < v0 + F::kChunk; ++v) {
        const __m256i number[2] = {w.number[g][part][v][0], w.number[g][part][v][1]};
        STRATA_UNROLL
        for (int t = 0; t < kRows; ++t) {
          const __m256i word = broadcast_word(x[t] + (g * F::kVectors + v) * 4);
          STRATA_UNROLL
          for (int h = 0; h < 2; ++h) {
            const __m256i product = _mm256_maddubs_epi16(word, number[h]);
            sum[t][h] = in_this_order(v == v0 ? product : _mm256_add_epi16(sum[t][h], product));
          }
        }
      }
      const __m256i factor = _mm256_set1_epi16(F::kParts == 2 && part == 0 ? 16 : 1);
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) {
        STRATA_UNROLL
        for (int h = 0; h < 2; ++h) {
          const __m256i before = part == 0 && v0 == 0 ? w.correction[g][h] : dot[t][h];
          dot[t][h] = _mm256_add_epi32(before, _mm256_madd_epi16(sum[t][h], factor));
        }
      }
    }
  }
}

// The same, straight from the struct; g = g0 + u, x[t] are rows with sign, x_sums[t] their sums over 16 numbers.
template <class W, int kRows>
STRATA_INLINE void multiply_packed(const typename W::Packed& p, int g0, int u, const int8_t* const x[kRows],
                                   const int16_t* const x_sums[kRows], __m256i dot[kRows][2]) {
  constexpr int kVectors = W::Form::kVectors,
                kChunk = vectors_in_int16(kVectors, 127 * (W::kMost == kInt8 ? 128 : W::kMost));
  static_assert(kChunk >= 1);
  const int g = g0 + u;
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    dot[t][0] = dot[t][1] = _mm256_setzero_si256();
    if constexpr (W::kOffset != 0) {
      const int16_t* sums = x_sums[t] + g * kVectors / 4;
      const int sum = kVectors == 4 ? sums[0] : sums[0] + sums[1];
      dot[t][0] = dot[t][1] = _mm256_set1_epi32(-W::kOffset * sum);
    }
  }
  STRATA_UNROLL
  for (int v0 = 0; v0 < kVectors; v0 += kChunk) {
    __m256i sum[kRows][2];
    STRATA_UNROLL
    for (int v = v0; v < v0 + kChunk; ++v) {
      const __m256i held[2] = {W::held(p, g0, u, v, 0), W::held(p, g0, u, v, 1)};
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) {
        const __m256i word = broadcast_word(x[t] + (g * kVectors + v) * 4);
        STRATA_UNROLL
        for (int h = 0; h < 2; ++h) {
          const __m256i product = W::kMost == kInt8
                                      ? _mm256_maddubs_epi16(_mm256_abs_epi8(held[h]), _mm256_sign_epi8(word, held[h]))
                                      : _mm256_maddubs_epi16(held[h], word);
          sum[t][h] = v == v0 ? product : _mm256_add_epi16(sum[t][h], product);
        }
      }
    }
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      STRATA_UNROLL
      for (int h = 0; h < 2; ++h) {
        dot[t][h] = _mm256_add_epi32(dot[t][h], _mm256_madd_epi16(sum[t][h], _mm256_set1_epi16(1)));
      }
    }
  }
}

// What the arithmetic in fp32 needs of one row of x for one struct.
template <class F>
struct RowOfStruct {
  float scale;
  int32_t pairs[F::kMinima == Minima::kWhole ? F::kGroups / 2 : 1];  // sums of x over groups, pairs of int16
  float sums[F::kMinima == Minima::kPlain ? F::kGroups : 1];         // sums of x over groups
};

template <class F>
STRATA_INLINE RowOfStruct<F> row_of_struct(const ActivationRow& row, int64_t i) {
  const int16_t* sums_of_16 = row.sum + i * (F::kGroups * F::kVectors / 4);
  RowOfStruct<F> out;
  out.scale = row.scale[i];
  if constexpr (F::kMinima == Minima::kWhole && F::kVectors == 4) {
    __builtin_memcpy(out.pairs, sums_of_16, sizeof(out.pairs));
  } else if constexpr (F::kMinima == Minima::kWhole) {
    const __m256i sixteen = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums_of_16));
    const __m256i sums = _mm256_madd_epi16(sixteen, _mm256_set1_epi16(1));
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out.pairs), words);
  } else if constexpr (F::kMinima == Minima::kPlain) {
    for (int g = 0; g < F::kGroups; ++g) out.sums[g] = static_cast<float>(sums_of_16[2 * g] + sums_of_16[2 * g + 1]);
  }
  return out;
}

// s[t] += scale of group g0 + u * dot[t].
template <int kRows, class Source>
STRATA_INLINE void add_scaled(const Source& source, int g0, int u, const __m256i dot[kRows][2], __m256 s[kRows][2]) {
  STRATA_UNROLL
  for (int h = 0; h < 2; ++h) {
    const __m256 scale = Source::scale(source, g0, u, h);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) s[t][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[t][h]), scale, s[t][h]);
  }
}

// m[t] = sum of minima times sums of x over the groups of the struct.
template <int kRows, class Source>
STRATA_INLINE void sum_minima(const Source& source, const RowOfStruct<typename Source::Form> x[kRows],
                              __m256 m[kRows][2]) {
  using F = typename Source::Form;
  STRATA_UNROLL
  for (int h = 0; h < 2; ++h) {
    if constexpr (F::kMinima == Minima::kWhole) {
      __m256i sum[kRows];
      STRATA_UNROLL
      for (int i = 0; i < F::kGroups / 2; ++i) {
        const __m256i minima = Source::minima(source, i, h);
        STRATA_UNROLL
        for (int t = 0; t < kRows; ++t) {
          const __m256i product = _mm256_madd_epi16(minima, _mm256_set1_epi32(x[t].pairs[i]));
          sum[t] = i == 0 ? product : _mm256_add_epi32(sum[t], product);
        }
      }
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) m[t][h] = _mm256_cvtepi32_ps(sum[t]);
    } else {
      STRATA_UNROLL
      for (int g = 0; g < F::kGroups; ++g) {
        const __m256 minimum = Source::minimum(source, g, h);
        STRATA_UNROLL
        for (int t = 0; t < kRows; ++t) {
          m[t][h] = _mm256_fmadd_ps(_mm256_set1_ps(x[t].sums[g]), minimum, g == 0 ? _mm256_setzero_ps() : m[t][h]);
        }
      }
    }
  }
}

// y[t][2 c], y[t][2 c + 1] += what group c of the struct adds: s with its factors, and the minima.
template <int kRows, class Source>
STRATA_INLINE void add_struct(const Source& source, int c, const RowOfStruct<typename Source::Form> x[kRows],
                              const __m256 s[kRows][2], __m256 y[][4]) {
  using F = typename Source::Form;
  __m256 m[kRows][2];
  if constexpr (F::kMinima != Minima::kNone) sum_minima<kRows>(source, x, m);
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    const __m256 a = _mm256_set1_ps(x[t].scale);
    STRATA_UNROLL
    for (int h = 0; h < 2; ++h) {
      __m256 sum = y[t][2 * c + h], factor = a;
      if constexpr (F::kHasD) factor = _mm256_mul_ps(Source::d(source, h), a);
      sum = _mm256_fmadd_ps(s[t][h], factor, sum);
      if constexpr (F::kMinima == Minima::kWhole) {
        sum = _mm256_fnmadd_ps(m[t][h], _mm256_mul_ps(Source::dmin(source, h), a), sum);
      } else if constexpr (F::kMinima == Minima::kPlain) {
        sum = _mm256_fmadd_ps(m[t][h], a, sum);  // dmin is -1
      }
      y[t][2 * c + h] = sum;
    }
  }
}

// Where the results of a panel go: 32 columns of the rows, of which a.n - first_column exist.
struct Output {
  const MatmulArgs& a;
  int64_t first_row, first_column;
};
STRATA_INLINE void store_row(const Output& out, int64_t row, const __m256 y[4]) {
  const int64_t i = out.first_row + row, left = out.a.n - out.first_column;
  float* to = out.a.y + (out.a.y_rows != nullptr ? out.a.y_rows[i] : i) * out.a.y_stride + out.first_column;
  store_first(to, {y[0], y[1]}, left);
  if (left > kLanes) store_first(to + kLanes, {y[2], y[3]}, left - kLanes);
}

// kSpan numbers of a row of x with their sign.
template <int kSpan>
STRATA_INLINE void take_sign(const uint8_t* x, int8_t* out) {
  STRATA_UNROLL
  for (int j = 0; j < kSpan; j += 32) {
    const __m256i numbers = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + j));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j), _mm256_xor_si256(numbers, _mm256_set1_epi8(-128)));
  }
}

template <class W, int kRows>
__attribute__((noinline)) void direct_tile(const PackedPanel<typename W::Packed>& weights, int64_t structs,
                                           const ActivationRow* rows, const Output& out) {
  using F = typename W::Form;
  constexpr int kSpan = W::Packed::kSpan;
  __m256 y[kRows][4];
  int8_t with_sign[kRows][kSpan];
  const int8_t* x[kRows];
  for (int t = 0; t < kRows; ++t) {
    for (__m256& numbers : y[t]) numbers = _mm256_setzero_ps();
    x[t] = with_sign[t];
  }
  for (int64_t i = 0; i < structs; ++i) {
    RowOfStruct<F> row[kRows];
    const int16_t* x_sums[kRows];
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      row[t] = row_of_struct<F>(rows[t], i);
      x_sums[t] = rows[t].sum + i * (kSpan / 16);
      take_sign<kSpan>(rows[t].value + i * kSpan, with_sign[t]);
    }
    for (int c = 0; c < 2; ++c) {
      const FromStruct<W> source = {at<W>(weights, i, c)};
      __m256 s[kRows][2];
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) s[t][0] = s[t][1] = _mm256_setzero_ps();
      for (int g0 = 0; g0 < F::kGroups; g0 += W::kUnroll) {
        STRATA_UNROLL
        for (int u = 0; u < W::kUnroll; ++u) {
          __m256i dot[kRows][2];
          prefetch_part<W>(source.p, g0 + u);
          multiply_packed<W, kRows>(source.p, g0, u, x, x_sums, dot);
          add_scaled<kRows>(source, g0, u, dot, s);
        }
      }
      add_struct<kRows>(source, c, row, s, y);
    }
  }
  for (int t = 0; t < kRows; ++t) store_row(out, t, y[t]);
}

template <class F, int kRows>
__attribute__((noinline)) void panel_tile(const DecodedGroup<F> groups[2], int64_t i, const ActivationRow* rows,
                                          __m256 y[][4]) {
  const uint8_t* x[kRows];
  RowOfStruct<F> row[kRows];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    x[t] = rows[t].value + i * (F::kGroups * F::kVectors * 4);
    row[t] = row_of_struct<F>(rows[t], i);
  }
  for (int c = 0; c < 2; ++c) {
    const FromPanel<F> source = {groups[c]};
    __m256 s[kRows][2];
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) s[t][0] = s[t][1] = _mm256_setzero_ps();
    for (int g = 0; g < F::kGroups; ++g) {
      __m256i dot[kRows][2];
      multiply_decoded<F, kRows>(groups[c], g, x, dot);
      add_scaled<kRows>(source, g, 0, dot, s);
    }
    add_struct<kRows>(source, c, row, s, y);
  }
}

template <class W>
void direct_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows,
                  int64_t n_rows, const Output& out) {
  if (n_rows == 1) return direct_tile<W, 1>(weights, structs, rows, out);
  if (n_rows == 2) return direct_tile<W, 2>(weights, structs, rows, out);
  direct_tile<W, 3>(weights, structs, rows, out);
}

template <class W>
void decoded_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const ActivationRow* rows,
                   int64_t n_rows, const Output& out) {
  static_assert(2 * (kDirectRows + 1) > kQuantizedTileRows,
                "tiles below have at least half of kQuantizedTileRows rows");
  using F = typename W::Form;
  __m256 y[kQuantizedMaxRows][4];
  DecodedGroup<F> groups[2];
  for (int64_t t = 0; t < n_rows; ++t) {
    for (__m256& numbers : y[t]) numbers = _mm256_setzero_ps();
  }
  const int64_t tiles = (n_rows + kQuantizedTileRows - 1) / kQuantizedTileRows;
  for (int64_t i = 0; i < structs; ++i) {
    for (int c = 0; c < 2; ++c) decode_group<W>(at<W>(weights, i, c), groups[c]);
    if (i + 1 < structs) prefetch_struct<W>(at<W>(weights, i + 1, 0));
    for (int64_t tile = 0; tile < tiles; ++tile) {  // of nearly equal size
      const int64_t begin = tile * n_rows / tiles, count = (tile + 1) * n_rows / tiles - begin;
      if (count == 3) panel_tile<F, 3>(groups, i, rows + begin, y + begin);
      if (count == 4) panel_tile<F, 4>(groups, i, rows + begin, y + begin);
      if (count == 5) panel_tile<F, 5>(groups, i, rows + begin, y + begin);
      if (count == 6) panel_tile<F, 6>(groups, i, rows + begin, y + begin);
    }
  }
  for (int64_t t = 0; t < n_rows; ++t) store_row(out, t, y[t]);
}

template <class W>
MatmulSplit split_quantized(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  return split_matmul({kWeightBytes, 20.0, 150.0, kQuantizedMaxRows, kQuantizedTileRows, a.k}, a.rows, a.n, a.k);
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

}  // namespace strata::avx2
