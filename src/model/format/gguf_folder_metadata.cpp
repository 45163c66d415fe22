#include "model/format/gguf_folder_metadata.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "model/format/gguf.h"
#include "model/format/gguf_config.h"
#include "model/format/gguf_conversion.h"
#include "model/format/gguf_folder_config.h"
#include "model/format/gguf_key_writer.h"
#include "model/format/gguf_rope.h"
#include "model/format/gguf_tokenizer.h"
#include "model/format/gguf_window.h"
#include "model/format/sentence_transformers.h"

namespace strata {
namespace {

using Json = nlohmann::json;

void write_key(const ConfigView& config, const GgufKey& key, GgufKeyWriter& keys) {
  if (key.kind == GgufKeyKind::kInt) keys.add(key.gguf, config.get_int(key.config));
  if (key.kind == GgufKeyKind::kFloat) keys.add_float(key.gguf, config.get_double(key.config));
  if (key.kind == GgufKeyKind::kBool) keys.add_bool(key.gguf, config.get_bool(key.config));
  if (key.kind == GgufKeyKind::kString) keys.add_string(key.gguf, config.get_string(key.config));
}

// The rows of the tables, from the configuration and then from what the entry implies. Settings that need more than one
// field are written before or after, by hand.
void write_keys(const ConfigView& config, const GgufArchitecture& entry, GgufKeyWriter& keys) {
  constexpr std::string_view kByHand[] = {"num_nextn_predict_layers", "sliding_window", "local_attention"};
  const ConfigView implied(Json::parse(entry.fields), "the tables of GGUF");
  for (const auto& rows : {entry.keys, shared_gguf_keys()}) {
    for (const GgufKey& key : rows) {
      if (std::find(std::begin(kByHand), std::end(kByHand), key.config) != std::end(kByHand) ||
          key.gguf.starts_with("rope.")) {
        continue;
      }
      write_key(config, key, keys);
      write_key(implied, key, keys);
    }
  }
}

void write_heads(const ConfigView& config, const GgufArchitecture& entry, GgufKeyWriter& keys) {
  if (entry.latent) {  // the cached form: one head of the latent and the rotary part
    const auto size = [&](const char* key) { return std::clamp<int64_t>(config.get_int(key).value_or(0), 0, 1 << 30); };
    keys.add("attention.head_count_kv", 1);
    keys.add("attention.key_length", size("kv_lora_rank") + size("qk_rope_head_dim"));
    keys.add("attention.value_length", size("kv_lora_rank"));
    keys.add("attention.key_length_mla", size("qk_nope_head_dim") + size("qk_rope_head_dim"));
    keys.add("attention.value_length_mla", size("v_head_dim"));
    keys.add("rope.dimension_count", size("qk_rope_head_dim"));
    return;
  }
  keys.add("attention.head_count_kv", gguf_folder_kv_heads(config, entry));
  keys.add("attention.key_length", gguf_folder_head_dim(config, entry));
  keys.add("attention.value_length", gguf_folder_head_dim(config, entry));
}

// Positions start behind the padding in tables that count it.
void write_context(const ConfigView& config, const GgufConversion& conversion, GgufKeyWriter& keys) {
  auto longest = gguf_folder_int(config, *conversion.entry, "context_length");
  for (const GgufOutputTensor& tensor : conversion.tensors) {
    if (tensor.name == "position_embd.weight") longest = tensor.shape[0];
  }
  keys.add("context_length", longest.value_or(2048));
}

void write_experts(const ConfigView& config, const GgufConversion& conversion, GgufKeyWriter& keys) {
  if (conversion.n_experts == 0) return;
  keys.add("expert_count", conversion.n_experts);
  if (!conversion.entry->latent) return;
  keys.add("expert_shared_count", config.get_int("n_shared_experts").value_or(0));
  const bool by_sigmoid = conversion.entry->evidence == "expert_gating_func=2";
  const std::string scoring = config.get_string("scoring_func").value_or(by_sigmoid ? "sigmoid" : "softmax");
  keys.add("expert_gating_func", scoring == "sigmoid" ? 2 : 1);
}

// How an embedding or a score is made of the hidden states: the numbers of llama.cpp's llama_pooling_type.
Status write_pooling(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufKeyWriter& keys) {
  constexpr int64_t kOfPooling[] = {1, 2, 3};  // mean, first, last
  constexpr int64_t kScore = 4;
  int64_t n_types = 1;
  bool ranks = false;
  for (const GgufOutputTensor& tensor : conversion.tensors) {
    if (tensor.name == "token_types.weight") n_types = tensor.shape[0];
    ranks = ranks || tensor.name == "cls.output.weight";
  }
  ASSIGN_OR_RETURN(const EmbeddingDefaults defaults, read_embedding_defaults(checkpoint));
  if (ranks) keys.add("pooling_type", kScore);
  if (defaults.pooling) keys.add("pooling_type", kOfPooling[static_cast<size_t>(*defaults.pooling)]);
  if (conversion.entry->causal) return ok_status();
  keys.add_bool("attention.causal", false);
  keys.writer().add_uint("tokenizer.ggml.token_type_count", static_cast<uint32_t>(n_types));
  return ok_status();
}

// One function by several names.
std::string activation(std::string name) {
  const bool tanh = name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh";
  return tanh ? "gelu_tanh" : (name == "swish" ? "silu" : name);
}

bool same(const Json& a, const Json& b) {
  if (a.is_string() && b.is_string()) return activation(a) == activation(b);
  if (a.is_number() && b.is_number()) return a.get<double>() == b.get<double>();
  return a == b;
}

// True when a key of the tables says this field.
bool has_key(const GgufArchitecture& entry, std::string_view field) {
  const auto says = [&](const GgufKey& key) { return key.config == field; };
  const auto shared = shared_gguf_keys();
  return std::any_of(entry.keys.begin(), entry.keys.end(), says) || std::any_of(shared.begin(), shared.end(), says);
}

// What an entry implies about fields of config.json. llama.cpp gates with silu unless it knows better.
Json implied_fields(const GgufArchitecture& entry) {
  constexpr std::string_view kActivations[] = {"hidden_act", "hidden_activation", "activation", "activation_function"};
  Json out = Json::parse(entry.fields);
  const bool said = std::any_of(std::begin(kActivations), std::end(kActivations),
                                [&](std::string_view name) { return out.contains(name); });
  if (!said && !has_key(entry, "hidden_activation")) out["hidden_act"] = "silu";
  return out;
}

// Layers without rotary positions, where they do not come at the interval that GGUF implies.
bool rope_layers_differ(const ConfigView& config) {
  const auto flags = config.is_array("no_rope_layers") ? config.get_ints("no_rope_layers") : std::nullopt;
  const auto interval = config.get_int("no_rope_layer_interval");
  if (!flags || !interval || *interval < 1) return false;
  for (size_t layer = 0; layer < flags->size(); ++layer) {
    const bool rotates = (layer + 1) % static_cast<size_t>(*interval) != 0;
    if (((*flags)[layer] != 0) != rotates) return true;
  }
  return false;
}

// Fields that say otherwise than a GGUF file of this architecture means, and that no key can say: kept in a key of our
// own, so that at least this program computes what the folder does.
void write_unsaid(const ConfigView& config, const GgufArchitecture& entry, GgufWriter& writer) {
  Json unsaid = Json::object();
  std::string names;
  const auto note = [&](const std::string& field) { names += (names.empty() ? "" : ", ") + field; };
  const Json implied = implied_fields(entry);
  for (const auto& [field, value] : implied.items()) {
    if (!config.has(field)) continue;
    const Json& said = config.json()[field];
    if (value.is_object() && said.is_object()) {
      for (const auto& [inner, meant] : value.items()) {
        if (said.contains(inner) && !same(said[inner], meant)) unsaid[field][inner] = said[inner];
      }
      if (unsaid.contains(field)) note(field);
    } else if (!value.is_object() && !same(said, value)) {
      note(field);
      if (!has_key(entry, field)) unsaid[field] = said;
    }
  }
  if (rope_layers_differ(config)) {
    note("no_rope_layers");
    unsaid["no_rope_layers"] = config.json()["no_rope_layers"];
  }
  if (names.empty()) return;
  log_warning("config.json: " + names + ": not what a GGUF file of " + std::string(entry.gguf) +
              " means; this program will read it from the file, others may compute something else");
  if (!unsaid.empty()) writer.add_string(kGgufConfigKey, unsaid.dump());
}

}  // namespace

Status write_gguf_folder_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer,
                                  const GgufFile* tokenizer) {
  const ConfigView config = gguf_folder_config(checkpoint);
  const GgufArchitecture& entry = *conversion.entry;
  writer.add_string("general.architecture", conversion.architecture);
  writer.add_string("general.name", checkpoint.folder().filename().string());
  GgufKeyWriter keys(conversion.architecture, writer);
  keys.add("block_count", conversion.n_layers);
  keys.add("vocab_size", config.get_int("vocab_size"));
  write_context(config, conversion, keys);
  write_heads(config, entry, keys);
  write_rope_keys(config, entry, keys);
  write_window_keys(config, entry, conversion.n_layers, keys);
  write_keys(config, entry, keys);
  const auto hidden = gguf_folder_int(config, entry, "embedding_length");
  if (hidden && *hidden <= INT32_MAX) keys.add("feed_forward_length", 4 * *hidden);  // where nothing says another
  write_experts(config, conversion, keys);
  RETURN_IF_ERROR(write_pooling(checkpoint, conversion, keys));
  if (config.get_bool("alibi").value_or(false)) keys.add_float("attention.max_alibi_bias", 8.0);
  write_unsaid(config, entry, writer);
  RETURN_IF_ERROR(keys.status());
  RETURN_IF_ERROR(config.status());
  if (tokenizer == nullptr) return write_gguf_tokenizer(checkpoint, writer);
  for (const auto& [key, value] : tokenizer->metadata()) {
    const bool is_of_text = key.starts_with("tokenizer.") || key == "strata.tokenizer_config";
    if (is_of_text && !writer.has(key)) writer.add(key, value);
  }
  return ok_status();
}

}  // namespace strata
