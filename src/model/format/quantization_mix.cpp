#include "model/format/quantization_mix.h"

#include <algorithm>

#include "model/format/quoted_name.h"

namespace strata {

// In which layers a rule holds.
enum class Layers : uint8_t {
  kNone,
  kAll,
  kFirstTwo,
  kFirstFour,
  kFirstSixteenth,
  kFirstEighth,
  kEighthWithImportance,
  kEighthWithoutImportance,
  kSpread,      // the first and last eighth and every third one between
  kSharedKeys,  // all, where four heads or more share a key
};
struct MixRule {
  Layers layers = Layers::kNone;
  DType type = DType::kF32;
};
// For each kind of matrix the first rule that holds in the layer decides; none: the mix's own type.
struct MixRules {
  MixRule value[2] = {};         // attn_v, attn_qkv, attn_kv_b
  MixRule down[2] = {};          // ffn_down, of experts too
  MixRule output = {};           // attn_output
  bool five_bits_for_8 = false;  // with 8 experts attn_output has Q5_K; else `output` does not hold for them
  bool only_experts = false;     // other matrices have Q8_0
};

namespace {

using enum Layers;
using enum DType;

constexpr MixRules kPlain = {};
constexpr MixRules kQ2Rules = {{{kSharedKeys, kQ4_K}, {kAll, kQ3_K}}, {{kAll, kQ3_K}}, {kAll, kQ3_K}, true};
constexpr MixRules kQ2SmallRules = {{{kSharedKeys, kQ4_K}}, {{kFirstEighth, kQ4_K}}};
constexpr MixRules kQ3SmallRules = {{}, {}, {}, true};
constexpr MixRules kQ3MediumRules = {
    {{kFirstTwo, kQ5_K}, {kAll, kQ4_K}}, {{kFirstSixteenth, kQ5_K}, {kAll, kQ4_K}}, {kAll, kQ4_K}, true};
constexpr MixRules kQ3LargeRules = {{{kAll, kQ5_K}}, {{kAll, kQ5_K}}, {kAll, kQ5_K}};
constexpr MixRules kQ4SmallRules = {{{kFirstFour, kQ5_K}}, {{kFirstEighth, kQ5_K}}, {}, true};
constexpr MixRules kQ4MediumRules = {{{kSpread, kQ6_K}}, {{kSpread, kQ6_K}}, {}, true};
constexpr MixRules kQ5MediumRules = {{{kSpread, kQ6_K}}, {{kSpread, kQ6_K}}};
constexpr MixRules kQ4_0Rules = {{}, {{kEighthWithImportance, kQ4_1}}};
constexpr MixRules kQ5_0Rules = {{}, {{kEighthWithImportance, kQ5_1}}};
constexpr MixRules kIQ4Rules = {{{kSharedKeys, kQ5_K}}, {{kEighthWithoutImportance, kQ5_K}}, {}, true};
constexpr MixRules kExpertRules = {{}, {}, {}, false, true};

// file_type: the numbers of llama.cpp's llama_ftype.
constexpr QuantizationMix kMixes[] = {
    {"F32", kF32, 0, &kPlain},
    {"F16", kF16, 1, &kPlain},
    {"BF16", kBF16, 32, &kPlain},
    {"Q8_0", kQ8_0, 7, &kPlain},
    {"Q4_0", kQ4_0, 2, &kQ4_0Rules},
    {"Q4_1", kQ4_1, 3, &kPlain},
    {"Q5_0", kQ5_0, 8, &kQ5_0Rules},
    {"Q5_1", kQ5_1, 9, &kPlain},
    {"Q3_K", kQ3_K, 11, &kPlain},
    {"Q4_K", kQ4_K, 14, &kPlain},
    {"Q5_K", kQ5_K, 16, &kPlain},
    {"Q6_K", kQ6_K, 18, &kPlain},
    {"IQ4_NL", kIQ4_NL, 25, &kIQ4Rules},
    {"IQ4_XS", kIQ4_XS, 30, &kIQ4Rules},
    {"MXFP4", kMXFP4, 38, &kPlain},
    {"Q2_K", kQ2_K, 10, &kQ2Rules},
    {"Q2_K_S", kQ2_K, 21, &kQ2SmallRules},
    {"Q3_K_S", kQ3_K, 11, &kQ3SmallRules},
    {"Q3_K_M", kQ3_K, 12, &kQ3MediumRules},
    {"Q3_K_L", kQ3_K, 13, &kQ3LargeRules},
    {"Q4_K_S", kQ4_K, 14, &kQ4SmallRules},
    {"Q4_K_M", kQ4_K, 15, &kQ4MediumRules},
    {"Q5_K_S", kQ5_K, 16, &kPlain},
    {"Q5_K_M", kQ5_K, 17, &kQ5MediumRules},
    {"MXFP4_MOE", kMXFP4, 38, &kExpertRules},
};

int64_t layer_of(std::string_view name) {
  int64_t layer = 0;
  for (size_t i = 4; i < name.size() && name[i] >= '0' && name[i] <= '9' && i < 13; ++i)
    layer = layer * 10 + (name[i] - '0');
  return layer;
}

bool holds(Layers layers, int64_t layer, const QuantizationContext& context) {
  const int64_t n = context.n_layers;
  switch (layers) {
    case kNone:
      return false;
    case kAll:
      return true;
    case kFirstTwo:
      return layer < 2;
    case kFirstFour:
      return layer < 4;
    case kFirstSixteenth:
      return layer < n / 16;
    case kFirstEighth:
      return layer < n / 8;
    case kEighthWithImportance:
      return layer < n / 8 && context.has_importance;
    case kEighthWithoutImportance:
      return layer < n / 8 && !context.has_importance;
    case kSpread:
      return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    case kSharedKeys:
      return context.heads_per_key >= 4;
  }
  return false;
}

DType first_that_holds(std::span<const MixRule> rules, DType otherwise, int64_t layer,
                       const QuantizationContext& context) {
  for (const MixRule& rule : rules) {
    if (holds(rule.layers, layer, context)) return rule.type;
  }
  return otherwise;
}

bool stays_float(std::string_view name, std::span<const int64_t> shape) {
  if (shape.size() < 2 || !name.ends_with(".weight") || name.ends_with("_norm.weight")) return true;
  for (const char* part : {"ffn_gate_inp", "position_embd", "token_types", "attn_rel_b"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  return false;
}

// Ignores the shape.
DType wanted_type(const QuantizationMix& mix, const QuantizationContext& context, std::string_view name) {
  if (!is_quantized(mix.type)) return mix.type;
  const auto is = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  const MixRules& rules = *mix.rules;
  const bool is_output = name == "output.weight" || (context.tied && name == "token_embd.weight");
  if (is_output) return mix.type == kQ8_0 || rules.only_experts ? kQ8_0 : kQ6_K;
  if (rules.only_experts) return is("_exps.") ? mix.type : kQ8_0;
  if (!name.starts_with("blk.")) return mix.type;
  const bool eight = context.n_experts == 8;
  const int64_t layer = layer_of(name);
  if (is(".attn_v.") || is(".attn_qkv.") || is(".attn_kv_b.")) {
    if (eight) return kQ8_0;
    const DType type = first_that_holds(rules.value, mix.type, layer, context);
    const bool many_layers = context.n_layers == 80 && context.heads_per_key > 1;
    return many_layers && (type == kQ3_K || type == kQ4_K) ? kQ5_K : type;
  }
  if (is(".attn_k.") && eight) return kQ8_0;
  if (is(".ffn_down")) return first_that_holds(rules.down, mix.type, layer, context);
  if (is(".attn_output.")) {
    if (eight) return rules.five_bits_for_8 ? kQ5_K : mix.type;
    return first_that_holds(std::span(&rules.output, 1), mix.type, layer, context);
  }
  return mix.type;
}

// For rows that do not divide into blocks of 256.
DType smaller_blocks(DType type) {
  switch (type) {
    case kQ2_K:
    case kQ3_K:
      return kQ4_0;
    case kQ4_K:
      return kQ5_0;
    case kQ5_K:
      return kQ5_1;
    case kQ6_K:
      return kQ8_0;
    case kIQ4_XS:
      return kIQ4_NL;
    default:
      return type;
  }
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
  if (stays_float(gguf_tensor_name, shape)) return kF32;
  const int64_t row = shape.back();
  DType type = wanted_type(mix, context, gguf_tensor_name);
  if (row % traits(type).block_elements != 0) type = smaller_blocks(type);
  return row % traits(type).block_elements == 0 ? type : kF16;
}

bool is_fallback(const QuantizationMix& mix, const QuantizationContext& context, std::string_view gguf_tensor_name,
                 std::span<const int64_t> shape) {
  return !stays_float(gguf_tensor_name, shape) &&
         choose_type(mix, context, gguf_tensor_name, shape) != wanted_type(mix, context, gguf_tensor_name);
}

}  // namespace strata
