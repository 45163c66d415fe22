#include "compute/kernels/cpu/generic/matmul.h"

#include <cmath>
#include <cstring>

#include "compute/kernels/activation.h"
#include "compute/kernels/block_arithmetic.h"
#include "compute/kernels/cpu/generic/lanes.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/packed_blocks.h"
#include "compute/tensor/half.h"

namespace strata {
namespace generic {
namespace {

constexpr int kMaxRows = 64;    // of a tile of work
constexpr int64_t kStep = 256;  // K of the floats that are brought into fp32 at a time

// Rows of x, results and place of one tile of work: `rows` rows by the 16 columns of a group.
struct Tile {
  const MatmulArgs& args;
  int64_t first_row, rows, column;
};

int64_t x_row(const Tile& tile, int64_t t) {
  const int64_t i = tile.first_row + t;
  return tile.args.x_rows != nullptr ? tile.args.x_rows[i] : i;
}

void store_tile(const Tile& tile, const float y[][kGroupRows]) {
  const int64_t columns = tile.args.n - tile.column < kGroupRows ? tile.args.n - tile.column : kGroupRows;
  for (int64_t t = 0; t < tile.rows; ++t) {
    const int64_t i = tile.first_row + t;
    float* to =
        tile.args.y + (tile.args.y_rows != nullptr ? tile.args.y_rows[i] : i) * tile.args.y_stride + tile.column;
    std::memcpy(to, y[t], static_cast<size_t>(columns) * sizeof(float));
  }
}

// Struct i of the group, [kSpan][16] fp32.
void to_floats(const PackedF32& p, float out[][kGroupRows]) { std::memcpy(out[0], p.w, sizeof(p.w)); }
void to_floats(const PackedF16& p, float out[][kGroupRows]) {
  for (int lane = 0; lane < kGroupRows; ++lane) out[0][lane] = half_to_float(p.w[lane]);
}
void to_floats(const PackedBF16& p, float out[][kGroupRows]) {
  for (int lane = 0; lane < kGroupRows; ++lane) {
    out[0][lane] = bfloat16_to_float(p.w[lane][0]);
    out[1][lane] = bfloat16_to_float(p.w[lane][1]);
  }
}

void to_floats(const PackedFP8& p, float out[][kGroupRows]) {
  for (int i = 0; i < 32; ++i) {
    for (int lane = 0; lane < kGroupRows; ++lane) out[i][lane] = p.d[lane] * e4m3_to_float(p.q[i][lane]);
  }
}

// Numbers [begin, end) of a row of x.
template <DType kActivation>
void load_x(const uint8_t* row, int64_t begin, int64_t end, float* out) {
  if constexpr (kActivation == DType::kF32) {
    std::memcpy(out, row + 4 * begin, static_cast<size_t>(end - begin) * sizeof(float));
  } else {
    for (int64_t i = begin; i < end; ++i) {
      uint16_t bits;
      std::memcpy(&bits, row + 2 * i, 2);
      out[i - begin] = bfloat16_to_float(bits);
    }
  }
}

void add_products(const float w[][kGroupRows], const float* x, int64_t n, float y[kGroupRows]) {
  static_assert(kLanes == kGroupRows);
  Lanes sum = load(y);
  for (int64_t i = 0; i < n; ++i) sum = multiply_add(broadcast(x[i]), load(w[i]), sum);
  store(y, sum);
}

template <class Packed, DType kActivation>
void run_floats(const Tile& tile, const PackedPanel<Packed>& panel, int64_t group) {
  const int64_t k = tile.args.k, stride = static_cast<int64_t>(row_bytes(kActivation, k));
  float w[kStep][kGroupRows], x[kStep], y[kMaxRows][kGroupRows] = {};
  for (int64_t begin = 0; begin < k; begin += kStep) {
    const int64_t end = begin + kStep < k ? begin + kStep : k;
    for (int64_t i = begin; i < end; i += Packed::kSpan) {
      to_floats(panel.first[i / Packed::kSpan * panel.width + group], w + (i - begin));
    }
    for (int64_t t = 0; t < tile.rows; ++t) {
      load_x<kActivation>(static_cast<const uint8_t*>(tile.args.x) + x_row(tile, t) * stride, begin, end, x);
      add_products(w, x, end - begin, y[t]);
    }
  }
  store_tile(tile, y);
}

// Sums over one group: q times x, and x.
template <int kGroup>
int32_t dot_of_group(const int16_t* q, const int8_t* x) {
  int32_t dot = 0;
  for (int i = 0; i < kGroup; ++i) dot += q[i] * static_cast<int16_t>(x[i]);
  return dot;
}
template <int kGroup>
int32_t sum_of_group(const int8_t* x) {
  int32_t sum = 0;
  for (int i = 0; i < kGroup; ++i) sum += x[i];
  return sum;
}

// What one struct of a lane adds to y.
template <int kSpan, DType kWeight>
float add_block(float y, const QuantBlock& w, const int16_t* q, const int8_t* x, float scale) {
  constexpr int kGroup = scale_group(kWeight), kShift = dot_shift(kWeight);
  constexpr bool kHasMinima = minima_of(kWeight) != Minima::kNone;
  if constexpr (kShift == kFloatScales) {
    float s = 0, m = 0;
    for (int g = 0; g < kSpan / kGroup; ++g) {
      s += static_cast<float>(dot_of_group<kGroup>(q + g * kGroup, x + g * kGroup)) * w.scale[g];
      if (kHasMinima) m += static_cast<float>(sum_of_group<kGroup>(x + g * kGroup)) * w.min[g];
    }
    y += s * (w.d * scale);
    return kHasMinima ? y - m * (w.dmin * scale) : y;
  } else {
    int32_t s = 0, m = 0;
    for (int g = 0; g < kSpan / kGroup; ++g) {
      const int32_t dot = dot_of_group<kGroup>(q + g * kGroup, x + g * kGroup);
      s += static_cast<int32_t>(w.scale[g]) * ((dot + rounding(kShift, g)) >> kShift);
      if (kHasMinima) m += static_cast<int32_t>(w.min[g]) * sum_of_group<kGroup>(x + g * kGroup);
    }
    float factor = static_cast<float>(s) * (w.d * static_cast<float>(1 << kShift));
    if (kHasMinima) factor -= static_cast<float>(m) * w.dmin;
    return y + factor * scale;
  }
}

template <class Packed, DType kActivation>
void run_blocks(const Tile& tile, const PackedPanel<Packed>& panel, int64_t group) {
  constexpr int kSpan = Packed::kSpan;
  const int64_t k = tile.args.k, stride = static_cast<int64_t>(row_bytes(kActivation, k));
  float y[kMaxRows][kGroupRows] = {};
  const ActivationParts at = activation_parts(k, kSpan);
  QuantBlock block;
  int16_t q[kSpan];
  for (int64_t i = 0; i < k / kSpan; ++i) {
    for (int lane = 0; lane < kGroupRows; ++lane) {
      decode_lane(panel.first[i * panel.width + group], lane, block);
      for (int j = 0; j < kSpan; ++j) q[j] = block.q[j];
      for (int64_t t = 0; t < tile.rows; ++t) {
        const int8_t* row = static_cast<const int8_t*>(tile.args.x) + x_row(tile, t) * stride;
        float scale;
        std::memcpy(&scale, row + at.scale + 4 * i, 4);
        y[t][lane] = add_block<kSpan, Packed::kWeight>(y[t][lane], block, q, row + i * kSpan, scale);
      }
    }
  }
  store_tile(tile, y);
}

template <class Packed>
MatmulSplit split_of(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(Packed) / (16.0 * Packed::kSpan);
  return split_matmul(
      {kWeightBytes, 2.0, 10.0, kMaxRows, 1, a.k * (Packed::kSpan == 1 || Packed::kWeight == DType::kFP8 ? 4 : 1)},
      a.rows, a.n, a.k);
}

template <class Packed>
int64_t tiles(const MatmulArgs& a) {
  const MatmulSplit split = split_of<Packed>(a);
  return split.row_tiles * split.column_tiles;
}

template <class Packed, DType kActivation>
void run(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const MatmulSplit split = split_of<Packed>(a);
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t first_row = tile / split.column_tiles * split.rows;
    const int64_t rows = first_row + split.rows < a.rows ? split.rows : a.rows - first_row;
    const int64_t begin = tile % split.column_tiles * split.columns;
    const int64_t end = begin + split.columns < a.n ? begin + split.columns : a.n;
    for (int64_t column = begin; column < end; column += kGroupRows) {
      const auto panel = packed_panel<Packed>(a.packed, column / kPanelColumns, a.n, a.k);
      const int64_t group = column / kGroupRows % 2;
      if constexpr (has_whole_numbers(Packed::kWeight)) {
        run_blocks<Packed, kActivation>({a, first_row, rows, column}, panel, group);
      } else {
        run_floats<Packed, kActivation>({a, first_row, rows, column}, panel, group);
      }
    }
  }
}

template <class P, DType kActivation>
constexpr MatmulFamily family(std::string_view arithmetic, const MatmulFamily* other_k = nullptr) {
  return {P::kWeight,      kActivation,       P::kName, arithmetic,          packed_weight_bytes<P>,
          pack_weights<P>, unpack_weights<P>, tiles<P>, run<P, kActivation>, other_k};
}

constexpr MatmulFamily kF32 = family<PackedF32, DType::kF32>("f32.mul_add.1");
constexpr MatmulFamily kF16 = family<PackedF16, DType::kF32>("f16.mul_add.1");
constexpr MatmulFamily kBF16 = family<PackedBF16, DType::kActBF16>("bf16.mul_add.1");
constexpr MatmulFamily kFP8 = family<PackedFP8, DType::kF32>("fp8.mul_add.1");
constexpr MatmulFamily kInt4x32 = family<PackedInt4<1>, DType::kActQ8x32>("int4.x32.mul_add.1");
constexpr MatmulFamily kInt8x32 = family<PackedInt8<1>, DType::kActQ8x32>("int8.x32.mul_add.1");
constexpr MatmulFamily kInt4 = family<PackedInt4<8>, DType::kActQ8>("int4.mul_add.1", &kInt4x32);
constexpr MatmulFamily kInt8 = family<PackedInt8<8>, DType::kActQ8>("int8.mul_add.1", &kInt8x32);
constexpr MatmulFamily kQ8_0x32 = family<PackedQ8_0<1>, DType::kActQ8x32>("q8_0.x32.mul_add.1");
constexpr MatmulFamily kQ4_0x32 = family<PackedQ4_0<1>, DType::kActQ8x32>("q4_0.x32.mul_add.1");
constexpr MatmulFamily kQ4_1x32 = family<PackedQ4_1<1>, DType::kActQ8x32>("q4_1.x32.mul_add.1");
constexpr MatmulFamily kQ5_0x32 = family<PackedQ5_0<1>, DType::kActQ8x32>("q5_0.x32.mul_add.1");
constexpr MatmulFamily kQ5_1x32 = family<PackedQ5_1<1>, DType::kActQ8x32>("q5_1.x32.mul_add.1");
constexpr MatmulFamily kIQ4_NLx32 = family<PackedIQ4_NL<1>, DType::kActQ8x32>("iq4_nl.x32.mul_add.1");
constexpr MatmulFamily kMXFP4x32 = family<PackedMXFP4<1>, DType::kActQ8x32>("mxfp4.x32.mul_add.1");
constexpr MatmulFamily kQ8_0 = family<PackedQ8_0<8>, DType::kActQ8>("q8_0.mul_add.1", &kQ8_0x32);
constexpr MatmulFamily kQ4_0 = family<PackedQ4_0<8>, DType::kActQ8>("q4_0.mul_add.1", &kQ4_0x32);
constexpr MatmulFamily kQ4_1 = family<PackedQ4_1<8>, DType::kActQ8>("q4_1.mul_add.1", &kQ4_1x32);
constexpr MatmulFamily kQ5_0 = family<PackedQ5_0<8>, DType::kActQ8>("q5_0.mul_add.1", &kQ5_0x32);
constexpr MatmulFamily kQ5_1 = family<PackedQ5_1<8>, DType::kActQ8>("q5_1.mul_add.1", &kQ5_1x32);
constexpr MatmulFamily kIQ4_NL = family<PackedIQ4_NL<8>, DType::kActQ8>("iq4_nl.mul_add.1", &kIQ4_NLx32);
constexpr MatmulFamily kMXFP4 = family<PackedMXFP4<8>, DType::kActQ8>("mxfp4.mul_add.1", &kMXFP4x32);
constexpr MatmulFamily kQ2_K = family<PackedQ2_K, DType::kActQ8>("q2_k.pairs_mul_add.1");
constexpr MatmulFamily kQ3_K = family<PackedQ3_K, DType::kActQ8>("q3_k.pairs_mul_add.1");
constexpr MatmulFamily kQ4_K = family<PackedQ4_K, DType::kActQ8>("q4_k.pairs_mul_add.1");
constexpr MatmulFamily kQ5_K = family<PackedQ5_K, DType::kActQ8>("q5_k.pairs_mul_add.1");
constexpr MatmulFamily kQ6_K = family<PackedQ6_K, DType::kActQ8>("q6_k.pairs_mul_add.1");
constexpr MatmulFamily kIQ4_XS = family<PackedIQ4_XS, DType::kActQ8>("iq4_xs.mul_add.1");

}  // namespace
}  // namespace generic

// In the order of DType.
constexpr const MatmulFamily* const kGenericMatmul[kDTypeCount] = {
    &generic::kF32,   &generic::kF16,  &generic::kBF16, nullptr,         nullptr,           nullptr,
    &generic::kQ8_0,  &generic::kQ4_0, &generic::kQ4_1, &generic::kQ5_0, &generic::kQ5_1,   &generic::kQ2_K,
    &generic::kQ3_K,  &generic::kQ4_K, &generic::kQ5_K, &generic::kQ6_K, &generic::kIQ4_NL, &generic::kIQ4_XS,
    &generic::kMXFP4, &generic::kInt4, &generic::kInt8, &generic::kFP8};

}  // namespace strata
