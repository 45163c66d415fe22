#include "compute/kernels/reference/matmul.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "compute/kernels/activation.h"
#include "compute/kernels/block_arithmetic.h"
#include "compute/tensor/half.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {
namespace reference {
namespace {

constexpr int64_t kTileColumns = 16;  // outputs of a tile

int64_t x_row(const MatmulArgs& a, int64_t i) { return a.x_rows != nullptr ? a.x_rows[i] : i; }
float* y_row(const MatmulArgs& a, int64_t i) { return a.y + (a.y_rows != nullptr ? a.y_rows[i] : i) * a.y_stride; }

template <DType kWeight>
size_t packed_bytes(int64_t n, int64_t k) {
  return (static_cast<size_t>(n) * row_bytes(kWeight, k) + 63) / 64 * 64;
}

template <DType kWeight>
void pack(void* packed, const void* const* rows, int64_t, int64_t k, int64_t row_begin, int64_t row_end) {
  const size_t bytes = row_bytes(kWeight, k);
  for (int64_t i = row_begin; i < row_end; ++i) {
    std::memcpy(static_cast<uint8_t*>(packed) + static_cast<size_t>(i) * bytes, rows[i], bytes);
  }
}

template <DType kWeight>
const uint8_t* weights(const void* packed, int64_t row, int64_t k, int64_t k_begin) {
  return static_cast<const uint8_t*>(packed) + static_cast<size_t>(row) * row_bytes(kWeight, k) +
         row_bytes(kWeight, k_begin);
}

template <DType kWeight>
void unpack(float* out, const void* packed, int64_t, int64_t k, int64_t row_begin, int64_t row_end, int64_t k_begin,
            int64_t k_end) {
  for (int64_t i = row_begin; i < row_end; ++i, out += k_end - k_begin) {
    dequantize_row(kWeight, weights<kWeight>(packed, i, k, k_begin), out, k_end - k_begin);
  }
}

int64_t tiles(const MatmulArgs& a) { return a.rows > 0 ? (a.n + kTileColumns - 1) / kTileColumns : 0; }

// Calls column(j) for the outputs j of the tiles.
template <class Column>
void each_column(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end, const Column& column) {
  for (int64_t j = tile_begin * kTileColumns; j < tile_end * kTileColumns && j < a.n; ++j) column(j);
}

template <DType kWeight, DType kActivation>
void run_float(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const size_t stride = row_bytes(kActivation, a.k);
  std::vector<float> w(static_cast<size_t>(a.k)), x(static_cast<size_t>(a.k));
  each_column(a, tile_begin, tile_end, [&](int64_t j) {
    dequantize_row(kWeight, weights<kWeight>(a.packed, j, a.k, 0), w.data(), a.k);
    for (int64_t i = 0; i < a.rows; ++i) {
      const auto* row = static_cast<const uint8_t*>(a.x) + static_cast<size_t>(x_row(a, i)) * stride;
      dequantize_row(kActivation == DType::kF32 ? DType::kF32 : DType::kBF16, row, x.data(), a.k);
      float y = 0;
      for (int64_t k = 0; k < a.k; ++k) y = std::fma(x[k], w[k], y);
      y_row(a, i)[j] = y;
    }
  });
}

// Over group g: q times x, and x.
int32_t dot_of_group(const QuantBlock& w, const int8_t* x, int g) {
  int32_t dot = 0;
  for (int i = g * w.group; i < (g + 1) * w.group; ++i) dot += w.q[i] * x[i];
  return dot;
}
int32_t sum_of_group(const QuantBlock& w, const int8_t* x, int g) {
  int32_t sum = 0;
  for (int i = g * w.group; i < (g + 1) * w.group; ++i) sum += x[i];
  return sum;
}

// What one block A of the activation adds to y.
float add_block(float y, const QuantBlock& w, const int8_t* x, float scale, Minima minima) {
  float s = 0, m = 0;
  for (int g = 0; g < w.elements / w.group; ++g) {
    s = std::fma(static_cast<float>(dot_of_group(w, x, g)), w.scale[g], s);
    m = std::fma(static_cast<float>(sum_of_group(w, x, g)), w.min[g], m);
  }
  y = std::fma(s, w.d * scale, y);
  return minima == Minima::kNone ? y : std::fma(m, scale, y);  // dmin is -1
}

// The same where scales are whole numbers.
float add_pairs(float y, const QuantBlock& w, const int8_t* x, float scale, Minima minima, int shift) {
  int32_t s = 0, m = 0;
  for (int g = 0; g < w.elements / w.group; ++g) {
    s += static_cast<int32_t>(w.scale[g]) * ((dot_of_group(w, x, g) + rounding(shift, g)) >> shift);
    m += static_cast<int32_t>(w.min[g]) * sum_of_group(w, x, g);
  }
  const float d = w.d * static_cast<float>(1 << shift);
  const float t = minima == Minima::kNone ? static_cast<float>(s) * d
                                          : std::fma(static_cast<float>(s), d, -(static_cast<float>(m) * w.dmin));
  return std::fma(t, scale, y);
}

// The weight's blocks of one activation block joined: eight of 32 become one of 256.
template <DType kWeight>
void join_blocks(const uint8_t* w, int length, QuantBlock& out) {
  QuantBlock part;
  int joined = 0;
  for (; joined < length; w += traits(kWeight).block_bytes) {
    decode_block(kWeight, w, part);
    const int groups = part.elements / part.group, first = joined / part.group;
    out.group = part.group;
    out.d = part.d;
    out.dmin = part.dmin;
    std::memcpy(out.q + joined, part.q, static_cast<size_t>(part.elements));
    std::memcpy(out.scale + first, part.scale, static_cast<size_t>(groups) * sizeof(float));
    std::memcpy(out.min + first, part.min, static_cast<size_t>(groups) * sizeof(float));
    joined += part.elements;
  }
  out.elements = joined;
}

template <DType kWeight, DType kActivation>
void run_quantized(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const int length = kActivation == DType::kActQ8 ? 256 : 32;
  const auto stride = static_cast<int64_t>(row_bytes(kActivation, a.k));
  QuantBlock w;
  each_column(a, tile_begin, tile_end, [&](int64_t j) {
    for (int64_t i = 0; i < a.rows; ++i) y_row(a, i)[j] = 0;
    for (int64_t b = 0; b < a.k / length; ++b) {
      join_blocks<kWeight>(weights<kWeight>(a.packed, j, a.k, b * length), length, w);
      for (int64_t i = 0; i < a.rows; ++i) {
        const int8_t* row = static_cast<const int8_t*>(a.x) + x_row(a, i) * stride;
        float scale;
        std::memcpy(&scale, row + activation_parts(a.k, length).scale + 4 * b, 4);
        float& y = y_row(a, i)[j];
        const int8_t* numbers = row + b * length;
        if constexpr (dot_shift(kWeight) == kFloatScales) {
          y = add_block(y, w, numbers, scale, minima_of(kWeight));
        } else {
          y = add_pairs(y, w, numbers, scale, minima_of(kWeight), dot_shift(kWeight));
        }
      }
    }
  });
}

template <DType kWeight, DType kActivation, auto kRun>
constexpr MatmulFamily family(std::string_view arithmetic, const MatmulFamily* other_k = nullptr) {
  return {kWeight,       kActivation,     "rows", arithmetic, packed_bytes<kWeight>,
          pack<kWeight>, unpack<kWeight>, tiles,  kRun,       other_k};
}
template <DType kWeight, DType kActivation>
constexpr MatmulFamily float_family(std::string_view arithmetic) {
  return family<kWeight, kActivation, run_float<kWeight, kActivation>>(arithmetic);
}
template <DType kWeight, DType kActivation>
constexpr MatmulFamily quantized_family(std::string_view arithmetic, const MatmulFamily* other_k = nullptr) {
  return family<kWeight, kActivation, run_quantized<kWeight, kActivation>>(arithmetic, other_k);
}

constexpr MatmulFamily kF32 = float_family<DType::kF32, DType::kF32>("f32.fma.1");
constexpr MatmulFamily kF16 = float_family<DType::kF16, DType::kF32>("f16.fma.1");
constexpr MatmulFamily kBF16 = float_family<DType::kBF16, DType::kActBF16>("bf16.fma.1");
constexpr MatmulFamily kFP8 = float_family<DType::kFP8, DType::kF32>("fp8.fma.1");
constexpr MatmulFamily kInt4x32 = quantized_family<DType::kInt4, DType::kActQ8x32>("int4.x32.fma.1");
constexpr MatmulFamily kInt8x32 = quantized_family<DType::kInt8, DType::kActQ8x32>("int8.x32.fma.1");
constexpr MatmulFamily kInt4 = quantized_family<DType::kInt4, DType::kActQ8>("int4.fma.1", &kInt4x32);
constexpr MatmulFamily kInt8 = quantized_family<DType::kInt8, DType::kActQ8>("int8.fma.1", &kInt8x32);
constexpr MatmulFamily kQ8_0x32 = quantized_family<DType::kQ8_0, DType::kActQ8x32>("q8_0.x32.fma.1");
constexpr MatmulFamily kQ4_0x32 = quantized_family<DType::kQ4_0, DType::kActQ8x32>("q4_0.x32.fma.1");
constexpr MatmulFamily kQ4_1x32 = quantized_family<DType::kQ4_1, DType::kActQ8x32>("q4_1.x32.fma.1");
constexpr MatmulFamily kQ5_0x32 = quantized_family<DType::kQ5_0, DType::kActQ8x32>("q5_0.x32.fma.1");
constexpr MatmulFamily kQ5_1x32 = quantized_family<DType::kQ5_1, DType::kActQ8x32>("q5_1.x32.fma.1");
constexpr MatmulFamily kIQ4_NLx32 = quantized_family<DType::kIQ4_NL, DType::kActQ8x32>("iq4_nl.x32.fma.1");
constexpr MatmulFamily kMXFP4x32 = quantized_family<DType::kMXFP4, DType::kActQ8x32>("mxfp4.x32.fma.1");
constexpr MatmulFamily kQ8_0 = quantized_family<DType::kQ8_0, DType::kActQ8>("q8_0.fma.1", &kQ8_0x32);
constexpr MatmulFamily kQ4_0 = quantized_family<DType::kQ4_0, DType::kActQ8>("q4_0.fma.1", &kQ4_0x32);
constexpr MatmulFamily kQ4_1 = quantized_family<DType::kQ4_1, DType::kActQ8>("q4_1.fma.1", &kQ4_1x32);
constexpr MatmulFamily kQ5_0 = quantized_family<DType::kQ5_0, DType::kActQ8>("q5_0.fma.1", &kQ5_0x32);
constexpr MatmulFamily kQ5_1 = quantized_family<DType::kQ5_1, DType::kActQ8>("q5_1.fma.1", &kQ5_1x32);
constexpr MatmulFamily kIQ4_NL = quantized_family<DType::kIQ4_NL, DType::kActQ8>("iq4_nl.fma.1", &kIQ4_NLx32);
constexpr MatmulFamily kMXFP4 = quantized_family<DType::kMXFP4, DType::kActQ8>("mxfp4.fma.1", &kMXFP4x32);
constexpr MatmulFamily kQ2_K = quantized_family<DType::kQ2_K, DType::kActQ8>("q2_k.pairs.1");
constexpr MatmulFamily kQ3_K = quantized_family<DType::kQ3_K, DType::kActQ8>("q3_k.pairs.1");
constexpr MatmulFamily kQ4_K = quantized_family<DType::kQ4_K, DType::kActQ8>("q4_k.pairs.1");
constexpr MatmulFamily kQ5_K = quantized_family<DType::kQ5_K, DType::kActQ8>("q5_k.pairs.1");
constexpr MatmulFamily kQ6_K = quantized_family<DType::kQ6_K, DType::kActQ8>("q6_k.pairs.1");
constexpr MatmulFamily kIQ4_XS = quantized_family<DType::kIQ4_XS, DType::kActQ8>("iq4_xs.fma.1");

}  // namespace

namespace {

std::vector<float> widened(const void* numbers, int64_t n) {
  std::vector<float> wide(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) wide[static_cast<size_t>(i)] = bfloat16_to_float(static_cast<const uint16_t*>(numbers)[i]);
  return wide;
}

}  // namespace

void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end, int64_t k_begin, int64_t k_end) {
  for (int64_t j = n_begin; j < n_end; ++j) {
    for (int64_t c = k_begin; c < k_end; ++c) {
      for (int64_t i = 0; i < rows; ++i) dw[j * k + c] = std::fma(dy[i * n + j], x[i * k + c], dw[j * k + c]);
    }
  }
}

void matmul_dx(float* dx, const float* dy, const MatmulFamily* family, const void* w, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end) {
  std::vector<float> row(static_cast<size_t>(k));
  for (int64_t i = row_begin; i < row_end; ++i) std::fill(dx + i * k + k_begin, dx + i * k + k_end, 0.0f);
  for (int64_t j = 0; j < n; ++j) {
    if (family != nullptr) {
      family->unpack(row.data(), w, n, k, j, j + 1, 0, k);
    } else {
      std::copy_n(static_cast<const float*>(w) + j * k, k, row.data());
    }
    for (int64_t i = row_begin; i < row_end; ++i) {
      for (int64_t c = k_begin; c < k_end; ++c) dx[i * k + c] = std::fma(dy[i * n + j], row[c], dx[i * k + c]);
    }
  }
}

void matmul_dw_bfloat(float* dw, const void* dy, const void* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
                      int64_t n_end, int64_t k_begin, int64_t k_end) {
  const std::vector<float> wide_dy = widened(dy, rows * n), wide_x = widened(x, rows * k);
  matmul_dw(dw, wide_dy.data(), wide_x.data(), rows, n, k, n_begin, n_end, k_begin, k_end);
}

void matmul_dx_bfloat(float* dx, const void* dy, const void* w, int64_t n, int64_t k, int64_t row_begin,
                      int64_t row_end, int64_t k_begin, int64_t k_end) {
  const std::vector<float> wide_dy = widened(dy, row_end * n), wide_w = widened(w, n * k);
  matmul_dx(dx, wide_dy.data(), nullptr, wide_w.data(), n, k, row_begin, row_end, k_begin, k_end);
}

}  // namespace reference

// In the order of DType.
constexpr const MatmulFamily* const kReferenceMatmul[kDTypeCount] = {&reference::kF32,
                                                                     &reference::kF16,
                                                                     &reference::kBF16,
                                                                     nullptr,
                                                                     nullptr,
                                                                     nullptr,
                                                                     &reference::kQ8_0,
                                                                     &reference::kQ4_0,
                                                                     &reference::kQ4_1,
                                                                     &reference::kQ5_0,
                                                                     &reference::kQ5_1,
                                                                     &reference::kQ2_K,
                                                                     &reference::kQ3_K,
                                                                     &reference::kQ4_K,
                                                                     &reference::kQ5_K,
                                                                     &reference::kQ6_K,
                                                                     &reference::kIQ4_NL,
                                                                     &reference::kIQ4_XS,
                                                                     &reference::kMXFP4,
                                                                     &reference::kInt4,
                                                                     &reference::kInt8,
                                                                     &reference::kFP8};

}  // namespace strata
