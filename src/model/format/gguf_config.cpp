#include "model/format/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "model/format/config_view.h"
#include "model/format/gguf.h"
#include "model/format/gguf_architectures.h"

namespace strata {
namespace {

using Json = nlohmann::json;

// Reads "ARCHITECTURE.key" of one file.
class Metadata {
 public:
  explicit Metadata(std::span<const GgufFile> parts)
      : parts_(parts),
        file_(parts.front()),
        architecture_(parts.front().get_string("general.architecture").value_or("")) {}

  const std::string& architecture() const { return architecture_; }
  const GgufValue* find(std::string_view key) const { return file_.find(architecture_ + "." + std::string(key)); }
  // Sizes beyond any model count as absent, so that sums of them stay in range.
  std::optional<int64_t> get_int(std::string_view key) const {
    constexpr int64_t kMax = int64_t{1} << 53;
    const GgufValue* value = find(key);
    const auto number = value != nullptr ? value->as_int() : std::nullopt;
    return number && *number >= -kMax && *number <= kMax ? number : std::nullopt;
  }
  std::optional<double> get_double(std::string_view key) const {
    const GgufValue* value = find(key);
    return value != nullptr ? value->as_double() : std::nullopt;
  }
  std::optional<std::string_view> get_string(std::string_view key) const {
    const GgufValue* value = find(key);
    return value != nullptr ? value->as_string() : std::nullopt;
  }
  const GgufTensor* find_tensor(std::string_view name) const {
    for (const GgufFile& part : parts_) {
      if (const GgufTensor* tensor = part.find_tensor(name)) return tensor;
    }
    return nullptr;
  }
  bool has_tensor(std::string_view name) const { return find_tensor(name) != nullptr; }
  const GgufFile& file() const { return file_; }

 private:
  std::span<const GgufFile> parts_;
  const GgufFile& file_;
  std::string architecture_;
};

// A value that does not have the kind of its key becomes text, so that the reader of the field reports its type.
Json mistyped(const GgufValue& value) {
  return value.as_string() ? Json(std::string(*value.as_string())) : Json("GGUF value of another type");
}

// Per-layer arrays of one repeated number become that number.
template <class T>
Json per_layer(const std::vector<T>& values) {
  if (!values.empty() && std::equal(values.begin() + 1, values.end(), values.begin())) return values.front();
  return values;
}

Json number(const GgufValue& value, GgufKeyKind kind) {
  if (kind == GgufKeyKind::kBool) return value.as_bool() ? Json(*value.as_bool()) : mistyped(value);
  if (kind == GgufKeyKind::kFloat) {
    if (const auto numbers = value.as_doubles()) return per_layer(*numbers);
    return value.as_double() ? Json(*value.as_double()) : mistyped(value);
  }
  if (const auto numbers = value.as_ints()) return per_layer(*numbers);
  return value.as_int() ? Json(*value.as_int()) : mistyped(value);
}

// True where the file has what a row of the tables names (GgufEvidence).
bool holds(const Metadata& metadata, std::string_view evidence) {
  if (const size_t both = evidence.find('&'); both != std::string_view::npos) {
    return holds(metadata, evidence.substr(0, both)) && holds(metadata, evidence.substr(both + 1));
  }
  if (evidence.starts_with('!')) return !holds(metadata, evidence.substr(1));
  if (const size_t equal = evidence.find('='); equal != std::string_view::npos) {
    const auto value = metadata.get_int(evidence.substr(0, equal));
    return value && std::to_string(*value) == evidence.substr(equal + 1);
  }
  return metadata.has_tensor(evidence) || metadata.find(evidence) != nullptr;
}

Json text(const GgufValue& value) {
  return value.as_string() ? Json(std::string(*value.as_string())) : Json("GGUF value of another type");
}

void translate_keys(const Metadata& metadata, std::span<const GgufKey> keys, Json& config) {
  for (const GgufKey& key : keys) {
    const GgufValue* value = metadata.find(key.gguf);
    if (value == nullptr) continue;
    config[std::string(key.config)] = key.kind == GgufKeyKind::kString ? text(*value) : number(*value, key.kind);
  }
}

// Own keys stand in the place of the shared ones they have the GGUF name of.
void translate_keys(const Metadata& metadata, const GgufArchitecture& architecture, Json& config) {
  for (const GgufKey& key : shared_gguf_keys()) {
    const bool replaced = std::any_of(architecture.keys.begin(), architecture.keys.end(),
                                      [&](const GgufKey& own) { return own.gguf == key.gguf; });
    if (!replaced) translate_keys(metadata, std::span(&key, 1), config);
  }
  translate_keys(metadata, architecture.keys, config);
  for (const GgufEvidence& row : architecture.evidences) {
    config[std::string(row.config)] = holds(metadata, row.evidence);
  }
}

// Layers of the model itself: GGUF counts the extra prediction layers among the blocks.
std::optional<int64_t> layer_count(const Metadata& metadata) {
  const auto blocks = metadata.get_int("block_count");
  return blocks ? std::optional(*blocks - metadata.get_int("nextn_predict_layers").value_or(0)) : std::nullopt;
}

// Which layers see only a window: a list of flags, or a period, which GGUF may leave to the architecture.
void set_layer_types(const Metadata& metadata, const GgufArchitecture& architecture, Json& config) {
  constexpr int64_t kMaxLayers = 1 << 16;
  const GgufValue* pattern = metadata.find("attention.sliding_window_pattern");
  const auto window = metadata.get_int("attention.sliding_window");
  const auto layers = layer_count(metadata);
  if (window && *window == 0) config.erase("sliding_window");  // none
  if ((architecture.window_period == 0 && pattern == nullptr) || !window || *window <= 0 || !layers || *layers < 0 ||
      *layers > kMaxLayers) {
    return;
  }
  const auto flags = pattern != nullptr ? pattern->as_bools() : std::nullopt;
  const int64_t period = pattern != nullptr && pattern->as_int() ? *pattern->as_int() : architecture.window_period;
  const int64_t whole = architecture.window_last ? period - 1 : 0;
  Json types = Json::array();
  for (int64_t layer = 0; layer < *layers; ++layer) {
    const bool listed = flags && layer < static_cast<int64_t>(flags->size());
    const bool slides = listed ? (*flags)[static_cast<size_t>(layer)] : period <= 0 || layer % period != whole;
    types.push_back(slides ? "sliding_attention" : "full_attention");
  }
  config["layer_types"] = std::move(types);
  if (period > 0) config[architecture.window_last ? "sliding_window_pattern" : "global_attn_every_n_layers"] = period;
}

void set_vocabulary(const Metadata& metadata, Json& config) {
  const GgufFile& file = metadata.file();
  const GgufTensor* embedding = metadata.find_tensor("token_embd.weight");
  if (embedding != nullptr && embedding->shape.size() == 2) {
    config["vocab_size"] = embedding->shape[0];
  } else if (const auto size = metadata.get_int("vocab_size")) {
    config["vocab_size"] = *size;
  } else if (const GgufValue* tokens = file.find("tokenizer.ggml.tokens")) {
    config["vocab_size"] = tokens->size();
  }
  if (const auto id = file.get_int("tokenizer.ggml.bos_token_id")) config["bos_token_id"] = *id;
  if (const auto id = file.get_int("tokenizer.ggml.eos_token_id")) config["eos_token_id"] = *id;
  if (const auto id = file.get_int("tokenizer.ggml.padding_token_id")) config["pad_token_id"] = *id;
  config["tie_word_embeddings"] = !metadata.has_tensor("output.weight");
  const GgufTensor* types = metadata.find_tensor("token_types.weight");
  if (types != nullptr && types->shape.size() == 2) config["type_vocab_size"] = types->shape[0];
}

// Latent attention stores the sizes of its cached form as key and value length, and those of its heads beside them.
void set_latent_attention(const Metadata& metadata, Json& config) {
  const auto rope = metadata.get_int("rope.dimension_count");
  const auto key = metadata.get_int("attention.key_length_mla");
  const auto value = metadata.get_int("attention.value_length_mla");
  const auto head = key ? key : metadata.get_int("attention.key_length");
  if (rope) config["qk_rope_head_dim"] = *rope;
  if (rope && head) config["qk_nope_head_dim"] = *head - *rope;
  if (const auto v = value ? value : metadata.get_int("attention.value_length")) config["v_head_dim"] = *v;
  if (rope) config["head_dim"] = *rope;  // as DeepSeek's configuration means it
  if (config.contains("num_attention_heads")) config["num_key_value_heads"] = config["num_attention_heads"];
  if (!config.contains("q_lora_rank")) config["q_lora_rank"] = nullptr;
}

void set_attention(const Metadata& metadata, const GgufArchitecture& architecture, Json& config) {
  if (!config.contains("num_key_value_heads") && config.contains("num_attention_heads")) {
    config["num_key_value_heads"] = config["num_attention_heads"];
  }
  config["attention_bias"] = metadata.has_tensor("blk.0.attn_q.bias") || metadata.has_tensor("blk.0.attn_qkv.bias");
  config["mlp_bias"] = metadata.has_tensor("blk.0.ffn_up.bias");
  if (gguf_rope_interleaved(metadata.architecture())) config["rope_interleaved"] = true;
  if (architecture.latent) return set_latent_attention(metadata, config);
  const auto hidden = metadata.get_int("embedding_length");
  const auto heads = metadata.get_int("attention.head_count");
  const auto even = hidden && heads && *heads > 0 ? std::optional(*hidden / *heads) : std::nullopt;
  auto head_dim = metadata.get_int("attention.key_length");
  if (!head_dim) head_dim = even;
  if (!head_dim) return;
  config["head_dim"] = *head_dim;
  if (architecture.query_scale_layers > 0) {
    const bool wide = layer_count(metadata) == architecture.query_scale_layers;
    config["query_pre_attn_scalar"] = wide ? even.value_or(*head_dim) : *head_dim;
  }
  const auto rotated = metadata.get_int("rope.dimension_count");
  if (rotated && *head_dim > 0) {
    config["partial_rotary_factor"] = static_cast<double>(*rotated) / static_cast<double>(*head_dim);
  }
}

void set_experts(const Metadata& metadata, const GgufArchitecture& architecture, Json& config) {
  const auto experts = metadata.get_int("expert_count");
  if (!experts || *experts == 0) return;
  config["num_experts"] = config["num_local_experts"] = config["n_routed_experts"] = *experts;
  if (!config.contains("moe_intermediate_size") && config.contains("intermediate_size")) {
    config["moe_intermediate_size"] = config["intermediate_size"];
  }
  if (!architecture.latent) return;
  const bool sigmoid = metadata.get_int("expert_gating_func").value_or(1) == 2;
  config["scoring_func"] = sigmoid ? "sigmoid" : "softmax";
  if (!sigmoid) {
    config["topk_method"] = metadata.find("expert_group_count") != nullptr ? "group_limited_greedy" : "greedy";
  }
}

std::vector<double> factors(const Metadata& metadata, std::string_view name) {
  const GgufTensor* tensor = metadata.find_tensor(name);
  if (tensor == nullptr || tensor->type != DType::kF32) return {};
  std::vector<float> values(tensor->data.size() / sizeof(float));
  std::memcpy(values.data(), tensor->data.data(), tensor->data.size());
  return {values.begin(), values.end()};
}

// Llama 3 scaling has no metadata: its factors are the tensor rope_freqs.weight, which the graph divides by.
void set_rope_scaling(const Metadata& metadata, Json& config) {
  std::string type(metadata.get_string("rope.scaling.type").value_or(""));
  auto factor = metadata.get_double("rope.scaling.factor");
  if (!factor) factor = metadata.get_double("rope.scale_linear");  // before rope.scaling.* existed
  if (type.empty() && factor && *factor != 0 && *factor != 1) type = "linear";
  Json scaling = {{"rope_type", type}};
  if (factor) scaling["factor"] = *factor;
  const auto original = metadata.get_int("rope.scaling.original_context_length");
  if (original) scaling["original_max_position_embeddings"] = *original;
  if (metadata.has_tensor("rope_factors_long.weight")) {
    scaling["rope_type"] = "longrope";
    scaling["long_factor"] = factors(metadata, "rope_factors_long.weight");
    scaling["short_factor"] = factors(metadata, "rope_factors_short.weight");
    if (const auto attention = metadata.get_double("rope.scaling.attn_factor"))
      scaling["attention_factor"] = *attention;
    if (original) config["original_max_position_embeddings"] = *original;
  } else if (type == "yarn") {
    if (const auto log = metadata.get_double("rope.scaling.yarn_log_multiplier")) {
      // The converter stores 0.1 * mscale_all_dim; the two scales are equal in every published model.
      scaling["mscale"] = scaling["mscale_all_dim"] = *log / 0.1;
    }
    if (const auto value = metadata.get_double("rope.scaling.yarn_beta_fast")) scaling["beta_fast"] = *value;
    if (const auto value = metadata.get_double("rope.scaling.yarn_beta_slow")) scaling["beta_slow"] = *value;
    const auto attention = metadata.get_double("rope.scaling.attn_factor");
    if (attention && factor && *factor > 0) {
      // GGUF's factor comes on top of the usual one; Hugging Face's stands for both.
      scaling["attention_factor"] = *attention * (1.0 + 0.1 * std::log(*factor));
    }
  } else if (type.empty() || type == "none") {
    config.erase("rope_scaling");
    return;
  }
  config["rope_scaling"].update(scaling);  // over what the architecture implies
}

}  // namespace

const GgufArchitecture& gguf_architecture(std::span<const GgufFile> parts) {
  static constexpr GgufArchitecture kUnknown;  // shared names and keys only
  const Metadata metadata(parts);
  const GgufArchitecture* found = find_gguf_architecture([&](const GgufArchitecture& entry) {
    return entry.gguf == metadata.architecture() && (entry.evidence.empty() || holds(metadata, entry.evidence));
  });
  return found != nullptr ? *found : kUnknown;
}

Result<Json> gguf_config(std::span<const GgufFile> parts) {
  const Metadata metadata(parts);
  const GgufArchitecture& architecture = gguf_architecture(parts);
  Json config = {{"gguf_architecture", metadata.architecture()}, {"rope_theta", 10000.0}};
  for (const std::string_view implied : {architecture.defaults, architecture.fields}) {
    config.update(Json::parse(implied));
  }
  if (!architecture.published.empty()) {
    config["architectures"] = Json::array({std::string(architecture.published)});
    config["model_type"] = std::string(architecture.model_type);
  }
  translate_keys(metadata, architecture, config);
  if (const auto layers = layer_count(metadata)) config[std::string(architecture.layer_count)] = *layers;
  set_layer_types(metadata, architecture, config);
  set_vocabulary(metadata, config);
  set_attention(metadata, architecture, config);
  set_experts(metadata, architecture, config);
  set_rope_scaling(metadata, config);
  if (const auto own = metadata.file().get_string(kGgufConfigKey)) {
    ASSIGN_OR_RETURN(const Json fields, parse_json(*own, kGgufConfigKey));
    if (!fields.is_object()) return data_loss(std::string(kGgufConfigKey) + " is no object");
    config.merge_patch(fields);
  }
  return config;
}

GenerationDefaults gguf_generation_defaults(const GgufFile& file) {
  GenerationDefaults out;
  const auto as_float = [&](std::string_view key) -> std::optional<float> {
    const auto value = file.get_double(key);
    return value ? std::optional<float>(static_cast<float>(*value)) : std::nullopt;
  };
  const auto as_id = [&](std::string_view key) -> std::optional<int32_t> {
    const auto value = file.get_int(key);
    return value && *value >= 0 && *value <= INT32_MAX ? std::optional(static_cast<int32_t>(*value)) : std::nullopt;
  };
  out.temperature = as_float("general.sampling.temp");
  out.top_p = as_float("general.sampling.top_p");
  out.min_p = as_float("general.sampling.min_p");
  out.repetition_penalty = as_float("general.sampling.penalty_repeat");
  out.top_k = as_id("general.sampling.top_k");
  out.bos_id = as_id("tokenizer.ggml.bos_token_id");
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = as_id(key)) out.eos_ids.push_back(*id);
  }
  std::sort(out.eos_ids.begin(), out.eos_ids.end());
  out.eos_ids.erase(std::unique(out.eos_ids.begin(), out.eos_ids.end()), out.eos_ids.end());
  return out;
}

}  // namespace strata
