#include "model/format/quantization_mix.h"

#include <algorithm>

#include "model/format/quoted_name.h"

namespace strata {
namespace {

// file_type: the numbers of llama.cpp's llama_ftype.
constexpr QuantizationMix kMixes[] = {
    {"F32", DType::kF32, false, 0},    {"F16", DType::kF16, false, 1},     {"BF16", DType::kBF16, false, 32},
    {"Q8_0", DType::kQ8_0, false, 7},  {"Q4_0", DType::kQ4_0, false, 2},   {"Q4_K", DType::kQ4_K, false, 14},
    {"Q6_K", DType::kQ6_K, false, 18}, {"Q4_K_M", DType::kQ4_K, true, 15},
};

int64_t layer_of(std::string_view name) {
  int64_t layer = 0;
  for (size_t i = 4; i < name.size() && name[i] >= '0' && name[i] <= '9' && i < 13; ++i)
    layer = layer * 10 + (name[i] - '0');
  return layer;
}

bool use_more_bits(int64_t layer, int64_t n_layers) {
  return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

bool stays_float(std::string_view name, std::span<const int64_t> shape) {
  return shape.size() < 2 || !name.ends_with(".weight") || name.ends_with("_norm.weight") ||
         name.find("ffn_gate_inp") != std::string_view::npos;
}

// Ignores the shape.
DType wanted_type(const QuantizationMix& mix, const QuantizationContext& context, std::string_view name) {
  const bool low = mix.type == DType::kQ4_0 || mix.type == DType::kQ4_K;
  if (low && (name == "output.weight" || (context.tied && name == "token_embd.weight"))) return DType::kQ6_K;
  if (!is_quantized(mix.type) || !name.starts_with("blk.")) return mix.type;
  const auto is = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  const bool eight = context.n_experts == 8;
  if (eight && (is(".attn_v.") || is(".attn_k."))) return DType::kQ8_0;
  if (!mix.more_bits) return mix.type;
  if (eight && is(".attn_output.")) return DType::kQ6_K;
  const bool more = use_more_bits(layer_of(name), context.n_layers);
  if (more && (is(".attn_v.") || is(".attn_kv_b.") || is(".ffn_down"))) return DType::kQ6_K;
  return mix.type;
}

}  // namespace

Result<QuantizationMix> QuantizationMix::from_name(std::string_view name) {
  std::string known;
  for (const QuantizationMix& mix : kMixes) {
    if (mix.name == name) return mix;
    known += (known.empty() ? "" : ", ") + std::string(mix.name);
  }
  return invalid_argument("type " + quoted_name(name) + " is not known (known: " + known + ")", "type");
}

DType choose_type(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                  std::span<const int64_t> shape) {
  if (stays_float(gguf_tensor_name, shape)) return DType::kF32;
  const DType wanted = wanted_type(mix, context, gguf_tensor_name);
  const int64_t row = shape.back();
  if (row % traits(wanted).block_elements == 0) return wanted;
  return row % traits(DType::kQ8_0).block_elements == 0 ? DType::kQ8_0 : DType::kF16;
}

bool is_fallback(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                 std::span<const int64_t> shape) {
  return !stays_float(gguf_tensor_name, shape) &&
         choose_type(mix, context, gguf_tensor_name, shape) != wanted_type(mix, context, gguf_tensor_name);
}

}  // namespace strata
