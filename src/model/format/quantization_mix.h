// Which element type each tensor of a GGUF file gets for a wanted type, by the rules of llama.cpp
// (https://github.com/ggml-org/llama.cpp, tools/quantize) so that files of both programs compare:
// - Vectors (norms, biases, expert biases, rope factors) and the expert router are F32.
// - F32, F16, BF16, Q8_0: every matrix has that type.
// - Q4_0, Q4_K: every matrix, but the output matrix (the embedding, where it is both) has Q6_K.
// - Q4_K_M: as Q4_K; attn_v and ffn_down of the first and last eighth of the layers and of every third one between
//   have Q6_K.
// - With 8 experts attn_k and attn_v have Q8_0 in every quantized type, and attn_output has Q6_K in Q4_K_M (llama.cpp:
//   Q5_K).
// - Rows that are no multiple of 256 cannot be Q4_K or Q6_K: they are Q8_0 (llama.cpp: Q5_0 for Q4_K); rows that are
//   no multiple of 32 are F16.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/tensor/dtype.h"

namespace strata {

struct QuantizationMix {
  std::string_view name;   // "Q4_K_M"
  DType type;              // of most matrices
  bool more_bits = false;  // the mix "_M"
  uint32_t file_type = 0;  // general.file_type

  // kInvalidArgument lists the known names.
  static Result<QuantizationMix> from_name(std::string_view name);
};

struct QuantizationContext {
  int64_t n_layers = 0;
  int64_t n_experts = 0;
  bool tied = false;  // no output.weight: the embedding is the output matrix too
};

DType choose_type(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                  std::span<const int64_t> shape);

// True where the rows of a matrix do not allow the type the rules want.
bool is_fallback(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                 std::span<const int64_t> shape);

}  // namespace strata
