// Blocks of 32 numbers, eight to a struct, or one for kActQ8x32.
#include "compute/kernels/cpu/avx2/families.h"
#include "compute/kernels/cpu/avx2/matmul_quantized.h"

namespace strata::avx2 {
namespace {

// 2^(e - 128), subnormal for the two smallest.
STRATA_INLINE __m256 powers_of_two(const uint8_t* exponents, int h) {
  const __m256i e = widen_bytes(exponents, h);
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
  const __m256i small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
  return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, subnormal, small));
}

template <int kBlocks>
struct WeightsQ8_0 {
  using Packed = PackedQ8_0<kBlocks>;
  static constexpr int kMost = kByte, kOffset = 128, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return load_half(p.q[g][v], h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return halves_to_floats(p.d[g], h); }
};

template <int kBlocks>
struct WeightsQ4_0 {
  using Packed = PackedQ4_0<kBlocks>;
  static constexpr int kMost = 15, kOffset = 8, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return nibbles(p.low[g], v, h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return halves_to_floats(p.d[g], h); }
};

template <int kBlocks>
struct WeightsQ4_1 {
  using Packed = PackedQ4_1<kBlocks>;
  static constexpr int kMost = 15, kOffset = 0, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kPlain, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return nibbles(p.low[g], v, h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return halves_to_floats(p.d[g], h); }
  STRATA_INLINE __m256 minimum(const Packed& p, int g, int h) { return halves_to_floats(p.m[g], h); }
};

template <int kBlocks>
struct WeightsQ5_0 {
  using Packed = PackedQ5_0<kBlocks>;
  static constexpr int kMost = 31, kOffset = 16, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return five_bits(p.low[g], p.high[g], v, h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return halves_to_floats(p.d[g], h); }
};

template <int kBlocks>
struct WeightsQ5_1 {
  using Packed = PackedQ5_1<kBlocks>;
  static constexpr int kMost = 31, kOffset = 0, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kPlain, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return five_bits(p.low[g], p.high[g], v, h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return halves_to_floats(p.d[g], h); }
  STRATA_INLINE __m256 minimum(const Packed& p, int g, int h) { return halves_to_floats(p.m[g], h); }
};

template <int kBlocks>
struct WeightsIQ4_NL {
  using Packed = PackedIQ4_NL<kBlocks>;
  static constexpr int kMost = kByte, kOffset = 128, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) {
    return look_up(kIQ4Values, kOffset, nibbles(p.low[g], v, h));
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return halves_to_floats(p.d[g], h); }
};

template <int kBlocks>
struct WeightsMXFP4 {
  using Packed = PackedMXFP4<kBlocks>;
  static constexpr int kMost = 28, kOffset = 16, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) {
    return look_up(kFP4Values, kOffset, nibbles(p.low[g], v, h));
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return powers_of_two(p.e[g], h); }
};

template <int kBlocks>
struct WeightsInt4 {
  using Packed = PackedInt4<kBlocks>;
  static constexpr int kMost = kByte, kOffset = 128, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) {
    const __m256i zero =
        _mm256_xor_si256(widen_bytes(reinterpret_cast<const uint8_t*>(p.zero[g]), h), _mm256_set1_epi32(128));
    const __m256i lowest_byte =
        _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    // Modulo 256: the number with 128 added.
    return _mm256_sub_epi8(nibbles(p.low[g], v, h), _mm256_shuffle_epi8(zero, lowest_byte));
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return _mm256_loadu_ps(p.d[g] + 8 * h); }
};

template <int kBlocks>
struct WeightsInt8 {
  using Packed = PackedInt8<kBlocks>;
  static constexpr int kMost = kByte, kOffset = 128, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<kBlocks, 8, kMost, kOffset, false, Minima::kNone, kFloatScales>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return load_half(p.q[g][v], h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return _mm256_loadu_ps(p.d[g] + 8 * h); }
};

}  // namespace

constexpr MatmulFamily kMatmulInt4x32 = quantized_family<WeightsInt4<1>, DType::kActQ8x32>("int4.x32.fma.1");
constexpr MatmulFamily kMatmulInt8x32 = quantized_family<WeightsInt8<1>, DType::kActQ8x32>("int8.x32.fma.1");
constexpr MatmulFamily kMatmulInt4 = quantized_family<WeightsInt4<8>, DType::kActQ8>("int4.fma.1", &kMatmulInt4x32);
constexpr MatmulFamily kMatmulInt8 = quantized_family<WeightsInt8<8>, DType::kActQ8>("int8.fma.1", &kMatmulInt8x32);
constexpr MatmulFamily kMatmulQ8_0x32 = quantized_family<WeightsQ8_0<1>, DType::kActQ8x32>("q8_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ4_0x32 = quantized_family<WeightsQ4_0<1>, DType::kActQ8x32>("q4_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ4_1x32 = quantized_family<WeightsQ4_1<1>, DType::kActQ8x32>("q4_1.x32.fma.1");
constexpr MatmulFamily kMatmulQ5_0x32 = quantized_family<WeightsQ5_0<1>, DType::kActQ8x32>("q5_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ5_1x32 = quantized_family<WeightsQ5_1<1>, DType::kActQ8x32>("q5_1.x32.fma.1");
constexpr MatmulFamily kMatmulIQ4_NLx32 = quantized_family<WeightsIQ4_NL<1>, DType::kActQ8x32>("iq4_nl.x32.fma.1");
constexpr MatmulFamily kMatmulMXFP4x32 = quantized_family<WeightsMXFP4<1>, DType::kActQ8x32>("mxfp4.x32.fma.1");
constexpr MatmulFamily kMatmulQ8_0 = quantized_family<WeightsQ8_0<8>, DType::kActQ8>("q8_0.fma.1", &kMatmulQ8_0x32);
constexpr MatmulFamily kMatmulQ4_0 = quantized_family<WeightsQ4_0<8>, DType::kActQ8>("q4_0.fma.1", &kMatmulQ4_0x32);
constexpr MatmulFamily kMatmulQ4_1 = quantized_family<WeightsQ4_1<8>, DType::kActQ8>("q4_1.fma.1", &kMatmulQ4_1x32);
constexpr MatmulFamily kMatmulQ5_0 = quantized_family<WeightsQ5_0<8>, DType::kActQ8>("q5_0.fma.1", &kMatmulQ5_0x32);
constexpr MatmulFamily kMatmulQ5_1 = quantized_family<WeightsQ5_1<8>, DType::kActQ8>("q5_1.fma.1", &kMatmulQ5_1x32);
constexpr MatmulFamily kMatmulIQ4_NL =
    quantized_family<WeightsIQ4_NL<8>, DType::kActQ8>("iq4_nl.fma.1", &kMatmulIQ4_NLx32);
constexpr MatmulFamily kMatmulMXFP4 = quantized_family<WeightsMXFP4<8>, DType::kActQ8>("mxfp4.fma.1", &kMatmulMXFP4x32);

}  // namespace strata::avx2
