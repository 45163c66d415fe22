#include "model/format/gguf_folder_metadata.h"

#include <algorithm>

#include "model/format/gguf_conversion.h"
#include "model/format/gguf_keys.h"
#include "model/format/gguf_tokenizer.h"
#include "model/format/gguf_writer.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

struct ModelType {
  std::string_view model_type;  // config.json
  std::string_view gguf;
  bool permutes_rotary_rows;
};
constexpr ModelType kModelTypes[] = {
    {"llama", "llama", true},         {"mistral", "llama", true},          {"mixtral", "llama", true},
    {"qwen2", "qwen2", false},        {"qwen3", "qwen3", false},           {"qwen2_moe", "qwen2moe", false},
    {"qwen3_moe", "qwen3moe", false}, {"deepseek_v2", "deepseek2", false}, {"deepseek_v3", "deepseek2", false},
    {"olmo2", "olmo2", false},
};

// Writes "ARCHITECTURE.key"; numbers outside the key's type are refused.
class KeyWriter {
 public:
  KeyWriter(const std::string& architecture, GgufWriter& writer) : prefix_(architecture + "."), writer_(writer) {}

  void add(std::string_view key, std::optional<int64_t> value) {
    const std::string full = prefix_ + std::string(key);
    if (!value || writer_.has(full)) return;
    if (*value < 0 || *value > UINT32_MAX) {
      failure_ = invalid_argument("config.json: " + full + " would be " + std::to_string(*value));
      return;
    }
    writer_.add_uint(full, static_cast<uint32_t>(*value));
  }
  void add_float(std::string_view key, std::optional<double> value) {
    if (value) writer_.add_float(prefix_ + std::string(key), static_cast<float>(*value));
  }
  void add_bool(std::string_view key, std::optional<bool> value) {
    if (value) writer_.add_bool(prefix_ + std::string(key), *value);
  }
  void add_string(std::string_view key, std::string_view value) {
    writer_.add_string(prefix_ + std::string(key), value);
  }
  const Status& status() const { return failure_; }

 private:
  std::string prefix_;
  GgufWriter& writer_;
  Status failure_;
};

std::optional<int64_t> head_dim(const ConfigView& config) {
  if (const auto own = config.get_int("head_dim")) return own;
  const auto hidden = config.get_int("hidden_size");
  const auto heads = config.get_int("num_attention_heads");
  return hidden && heads && *heads > 0 ? std::optional(*hidden / *heads) : std::nullopt;
}

void add_heads(const ConfigView& config, KeyWriter& keys) {
  if (config.has("kv_lora_rank")) {  // unsplit kv_b: heads as they are computed, not as they are cached
    const int64_t rope = config.get_int("qk_rope_head_dim").value_or(0);
    const int64_t nope = config.get_int("qk_nope_head_dim").value_or(0);
    keys.add("attention.key_length",
             std::clamp<int64_t>(nope, 0, UINT32_MAX) + std::clamp<int64_t>(rope, 0, UINT32_MAX));
    keys.add("attention.value_length", config.get_int("v_head_dim"));
    keys.add("rope.dimension_count", rope);
    return;
  }
  keys.add("attention.key_length", head_dim(config));
  keys.add("attention.value_length", head_dim(config));
  keys.add("rope.dimension_count", gguf_folder_rotary_dim(config));
}

void add_rope_scaling(const ConfigView& config, KeyWriter& keys) {
  const auto scaling = gguf_folder_rope_scaling(config);
  if (!scaling) return;
  const std::string type = scaling->get_string("rope_type").value_or(scaling->get_string("type").value_or(""));
  if (type != "linear" && type != "yarn") return;  // llama3 is a tensor, "default" is nothing
  keys.add_string("rope.scaling.type", type);
  keys.add_float("rope.scaling.factor", scaling->get_double("factor"));
  if (type == "linear") return;
  keys.add("rope.scaling.original_context_length", scaling->get_int("original_max_position_embeddings"));
  if (const auto mscale = scaling->get_double("mscale_all_dim")) {
    keys.add_float("rope.scaling.yarn_log_multiplier", 0.1 * *mscale);
  }
  keys.add_float("rope.scaling.yarn_beta_fast", scaling->get_double("beta_fast"));
  keys.add_float("rope.scaling.yarn_beta_slow", scaling->get_double("beta_slow"));
}

void add_experts(const ConfigView& config, const GgufConversion& conversion, KeyWriter& keys) {
  if (conversion.n_experts == 0) return;
  keys.add("expert_count", conversion.n_experts);
  if (conversion.architecture != "deepseek2") return;
  const std::string scoring =
      config.get_string("scoring_func")
          .value_or(config.get_string("model_type").value_or("") == "deepseek_v3" ? "sigmoid" : "softmax");
  keys.add("expert_gating_func", scoring == "sigmoid" ? 2 : 1);
}

}  // namespace

Result<GgufFolderArchitecture> gguf_folder_architecture(const ConfigView& config) {
  ASSIGN_OR_RETURN(const std::string type, config.require_string("model_type"));
  std::string known;
  for (const ModelType& entry : kModelTypes) {
    if (entry.model_type == type) return GgufFolderArchitecture{std::string(entry.gguf), entry.permutes_rotary_rows};
    known += (known.empty() ? "" : ", ") + std::string(entry.model_type);
  }
  return invalid_argument("model_type " + quoted_name(type) + " has no GGUF form here (known: " + known + ")",
                          "model_type");
}

int64_t gguf_folder_experts(const ConfigView& config) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (const auto count = config.get_int(key)) return *count;
  }
  return 0;
}

std::optional<ConfigView> gguf_folder_rope_scaling(const ConfigView& config) {
  return config.has("rope_scaling") ? config.get_object("rope_scaling") : config.get_object("rope_parameters");
}

double gguf_folder_rope_theta(const ConfigView& config) {
  if (const auto theta = config.get_double("rope_theta")) return *theta;
  const auto parameters = config.get_object("rope_parameters");
  const auto theta = parameters ? parameters->get_double("rope_theta") : std::nullopt;
  return theta.value_or(10000.0);
}

int64_t gguf_folder_rotary_dim(const ConfigView& config) {
  const double part = config.get_double("partial_rotary_factor").value_or(1.0);
  const double rotated = static_cast<double>(head_dim(config).value_or(0)) * part;
  return rotated >= 0 && rotated < 1e9 ? static_cast<int64_t>(rotated) : -1;
}

Status write_gguf_folder_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer) {
  const ConfigView& config = checkpoint.config();
  writer.add_string("general.architecture", conversion.architecture);
  writer.add_string("general.name", checkpoint.folder().filename().string());
  KeyWriter keys(conversion.architecture, writer);
  keys.add("block_count", conversion.n_layers);
  keys.add("vocab_size", config.get_int("vocab_size"));
  if (!config.has("num_key_value_heads")) keys.add("attention.head_count_kv", config.get_int("num_attention_heads"));
  for (const GgufKey& key : kGgufKeys) {
    // The extra prediction layers are not written; rope_theta has two places.
    if (key.config == "num_nextn_predict_layers" || key.config == "rope_theta") continue;
    if (key.kind == GgufKeyKind::kInt) keys.add(key.gguf, config.get_int(key.config));
    if (key.kind == GgufKeyKind::kFloat) keys.add_float(key.gguf, config.get_double(key.config));
    if (key.kind == GgufKeyKind::kBool) keys.add_bool(key.gguf, config.get_bool(key.config));
  }
  keys.add_float("rope.freq_base", gguf_folder_rope_theta(config));
  add_heads(config, keys);
  add_rope_scaling(config, keys);
  add_experts(config, conversion, keys);
  RETURN_IF_ERROR(keys.status());
  RETURN_IF_ERROR(config.status());
  return write_gguf_tokenizer(checkpoint, writer);
}

}  // namespace strata
