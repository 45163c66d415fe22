// Element types: plain numbers, GGUF's quantized blocks (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md),
// the blocks into which the packed weights of safetensors are brought (packed_module.h), and the forms into which
// activations are brought before a matmul.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace strata {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kI8,
  kI32,
  kI64,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
  kInt4,
  kInt8,
  kFP8,
  // Activation rows (compute/kernels/activation.h): int8 with one scale per 256, or per 32, values; bf16.
  kActQ8,
  kActQ8x32,
  kActBF16,
};
inline constexpr int kDTypeCount = static_cast<int>(DType::kActBF16) + 1;

struct DTypeTraits {
  std::string_view name;  // as GGUF and the command line spell it: "F32", "Q4_K"
  int block_elements;     // 1 for plain numbers
  int block_bytes;
};
const DTypeTraits& traits(DType type);
inline std::string_view name(DType type) { return traits(type).name; }
std::optional<DType> dtype_from_name(std::string_view name);

// True for the block formats of weights (Q8_0 ... MXFP4 are GGUF's, INT4 INT8 FP8 are not).
constexpr bool is_quantized(DType type) { return type >= DType::kQ8_0 && type <= DType::kFP8; }
// True for blocks of whole numbers, which int8 activations multiply.
constexpr bool has_whole_numbers(DType type) { return is_quantized(type) && type != DType::kFP8; }
constexpr bool is_activation(DType type) { return type >= DType::kActQ8; }

// Bytes of one contiguous row of k elements; k is a multiple of block_elements. Activation rows include their scales
// and sums (see activation.h).
size_t row_bytes(DType type, int64_t k);

}  // namespace strata
