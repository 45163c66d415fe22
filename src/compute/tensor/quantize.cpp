// fp32 rows into quantized blocks.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "compute/tensor/half.h"
#include "compute/tensor/quant_blocks.h"
#include "compute/tensor/quantize_blocks.h"

namespace strata {
namespace {

// Quantized numbers come from finite ones that fp16 can tell.
void load_finite(const float* src, float* dst, int n) {
  constexpr float kLargest = 65504.0f;
  for (int i = 0; i < n; ++i) dst[i] = std::isnan(src[i]) ? 0.0f : std::clamp(src[i], -kLargest, kLargest);
}

// How much the error of each number counts: as much as its column (beside the mean of the block's columns), and large
// numbers somewhat more than small ones.
void error_weights(const float* x, const float* importance, float* weight, int n) {
  float squares = 0, sum = 0;
  for (int i = 0; i < n; ++i) squares += x[i] * x[i];
  for (int i = 0; i < n && importance != nullptr; ++i) sum += importance[i];
  const float typical = std::sqrt(squares / static_cast<float>(n)), mean = sum / static_cast<float>(n);
  const bool columns_differ = mean > 0 && std::isfinite(mean);  // else nothing is known of them
  for (int i = 0; i < n; ++i) {
    weight[i] = typical + std::fabs(x[i]);
    if (columns_differ) weight[i] *= importance[i] / mean;
  }
}

// Blocks whose scale every program takes from the largest number, unless importance says which numbers matter.
template <class Block>
constexpr bool is_plain() {
  constexpr DType t = Block::kType;
  return t == DType::kQ4_0 || t == DType::kQ4_1 || t == DType::kQ5_0 || t == DType::kQ5_1 || t == DType::kQ8_0;
}

template <class Block>
void encode_row(const float* src, void* dst, int64_t k, const float* importance) {
  constexpr int kElements = sizeof(Block) > 34 ? 256 : 32;
  float x[kElements], weight[kElements];
  Block block;
  auto* out = static_cast<uint8_t*>(dst);
  for (int64_t i = 0; i < k; i += kElements, out += sizeof(block)) {
    load_finite(src + i, x, kElements);
    error_weights(x, importance != nullptr ? importance + i : nullptr, weight, kElements);
    encode_block(x, is_plain<Block>() && importance == nullptr ? nullptr : weight, block);
    std::memcpy(out, &block, sizeof(block));
  }
}

}  // namespace

void quantize_row(DType type, const float* src, void* dst, int64_t k, const float* importance) {
  CHECK(can_convert(type));
  CHECK_EQ(k % traits(type).block_elements, 0);
  switch (type) {
    case DType::kQ8_0:
      return encode_row<BlockQ8_0>(src, dst, k, importance);
    case DType::kQ4_0:
      return encode_row<BlockQ4_0>(src, dst, k, importance);
    case DType::kQ4_1:
      return encode_row<BlockQ4_1>(src, dst, k, importance);
    case DType::kQ5_0:
      return encode_row<BlockQ5_0>(src, dst, k, importance);
    case DType::kQ5_1:
      return encode_row<BlockQ5_1>(src, dst, k, importance);
    case DType::kQ2_K:
      return encode_row<BlockQ2_K>(src, dst, k, importance);
    case DType::kQ3_K:
      return encode_row<BlockQ3_K>(src, dst, k, importance);
    case DType::kQ4_K:
      return encode_row<BlockQ4_K>(src, dst, k, importance);
    case DType::kQ5_K:
      return encode_row<BlockQ5_K>(src, dst, k, importance);
    case DType::kQ6_K:
      return encode_row<BlockQ6_K>(src, dst, k, importance);
    case DType::kIQ4_NL:
      return encode_row<BlockIQ4_NL>(src, dst, k, importance);
    case DType::kIQ4_XS:
      return encode_row<BlockIQ4_XS>(src, dst, k, importance);
    case DType::kMXFP4:
      return encode_row<BlockMXFP4>(src, dst, k, importance);
    case DType::kF32:
      std::memcpy(dst, src, static_cast<size_t>(k) * sizeof(float));
      return;
    default:
      CHECK(!is_quantized(type));
      break;
  }
  for (int64_t i = 0; i < k; ++i) {
    const uint16_t bits = type == DType::kF16 ? float_to_half(src[i]) : float_to_bfloat16(src[i]);
    std::memcpy(static_cast<uint8_t*>(dst) + 2 * i, &bits, 2);
  }
}

}  // namespace strata
