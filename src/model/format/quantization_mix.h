// Which element type each tensor of a GGUF file gets for a wanted type, by the rules of llama.cpp
// (https://github.com/ggml-org/llama.cpp, tools/quantize) so that files of both programs compare:
// - Vectors (norms, biases, expert biases, rope factors), the expert router and tables of positions and token types are
//   F32.
// - F32, F16, BF16, Q8_0, Q6_K: every matrix has that type.
// - The other types: every matrix, but the output matrix (the embedding, where it is both) has Q6_K. Q4_0, Q5_0, IQ4_NL
//   and IQ4_XS have more bits for ffn_down of the first eighth of the layers, depending on whether importance is known.
// - Mixes (Q2_K, Q3_K_S ... Q5_K_M): the type in their name, and more bits for attn_v, ffn_down and attn_output of some
//   layers: the table in quantization_mix.cpp. Fused attn_qkv and MLA's attn_kv_b count as attn_v.
// - MXFP4_MOE: experts MXFP4, everything else Q8_0.
// - With 8 experts attn_k and attn_v have Q8_0 in every quantized type, and attn_output has Q5_K in most mixes. With 80
//   layers whose heads share keys attn_v has at least Q5_K.
// - Rows that are no multiple of 256 get the next larger type with blocks of 32; no multiple of 32: F16.
// Llama.cpp counts the tensors of a kind, here the layer's number is taken: they differ for models without attn_v in
// some layers. Its exceptions for Falcon are not made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/tensor/dtype.h"

namespace strata {

struct MixRules;

struct QuantizationMix {
  std::string_view name;            // "Q4_K_M"
  DType type;                       // of most matrices
  uint32_t file_type = 0;           // general.file_type
  const MixRules* rules = nullptr;  // which matrices get another one

  // kInvalidArgument lists the known names.
  static Result<QuantizationMix> from_name(std::string_view name);
};

struct QuantizationContext {
  int64_t n_layers = 0;
  int64_t n_experts = 0;
  bool tied = false;          // no output.weight: the embedding is the output matrix too
  int64_t heads_per_key = 1;  // heads that share a key
  bool has_importance = false;
};

DType choose_type(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                  std::span<const int64_t> shape);

// True where the rows of a matrix do not allow the type the rules want.
bool is_fallback(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                 std::span<const int64_t> shape);

}  // namespace strata
