#include "model/format/gguf_folder_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "model/format/gguf_rope.h"
#include "model/format/quoted_name.h"
#include "model/format/tensor_names.h"

namespace strata {
namespace {

// Whether a folder has the tensor that tells an entry from others of its model_type. Evidence in metadata does not
// separate folders.
bool fits(const Checkpoint& checkpoint, const GgufArchitecture& entry) {
  if (entry.evidence.find(".weight") == std::string_view::npos) return true;
  for (const std::string& name : canonical_names(entry.evidence, entry)) {
    if (checkpoint.find(name) != nullptr) return true;
  }
  return false;
}

}  // namespace

ConfigView gguf_folder_config(const Checkpoint& checkpoint) {
  const ConfigView& config = checkpoint.config();
  return config.is_object("text_config") ? *config.get_object("text_config") : config;
}

std::optional<std::string> gguf_folder_text_name(const Checkpoint& checkpoint, std::string_view name) {
  if (!checkpoint.config().is_object("text_config")) return std::string(name);
  constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {{"language_model.model.", "model."},
                                                                         {"model.language_model.", "model."},
                                                                         {"language_model.lm_head.", "lm_head."}};
  for (const auto& [prefix, own] : kPrefixes) {
    if (name.starts_with(prefix)) return std::string(own) + std::string(name.substr(prefix.size()));
  }
  constexpr std::string_view kOthers[] = {"vision", "audio", "multi_modal", "projector"};
  for (const std::string_view other : kOthers) {
    if (name.find(other) != std::string_view::npos) return std::nullopt;
  }
  return std::string(name);
}

Result<const GgufArchitecture*> gguf_folder_architecture(const Checkpoint& checkpoint) {
  ASSIGN_OR_RETURN(const std::string type, gguf_folder_config(checkpoint).require_string("model_type"));
  std::set<std::string> known;
  const GgufArchitecture* found = find_gguf_architecture([&](const GgufArchitecture& entry) {
    known.insert(std::string(entry.model_type));
    return entry.model_type == type && fits(checkpoint, entry);
  });
  if (found != nullptr) return found;
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  return invalid_argument("model_type " + quoted_name(type) + " has no GGUF form here (known: " + names + ")",
                          "model_type");
}

std::optional<int64_t> gguf_folder_int(const ConfigView& config, const GgufArchitecture& entry, std::string_view key) {
  for (const auto& keys : {entry.keys, shared_gguf_keys()}) {
    for (const GgufKey& row : keys) {
      if (row.gguf == key && config.has(row.config)) return config.get_int(row.config);
    }
  }
  return std::nullopt;
}

bool gguf_folder_tied(const ConfigView& config) { return config.get_bool("tie_word_embeddings").value_or(false); }

int64_t gguf_folder_experts(const ConfigView& config) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (const auto count = config.get_int(key)) return *count;
  }
  return 0;
}

int64_t gguf_folder_kv_heads(const ConfigView& config, const GgufArchitecture& entry) {
  const bool one =
      config.get_bool("multi_query").value_or(false) && !config.get_bool("new_decoder_architecture").value_or(false);
  if (one) return 1;
  const auto own = gguf_folder_int(config, entry, "attention.head_count_kv");
  return own ? *own : gguf_folder_int(config, entry, "attention.head_count").value_or(0);
}

std::optional<int64_t> gguf_folder_head_dim(const ConfigView& config, const GgufArchitecture& entry) {
  if (const auto own = config.get_int("head_dim")) return own;
  const auto hidden = gguf_folder_int(config, entry, "embedding_length");
  const auto heads = gguf_folder_int(config, entry, "attention.head_count");
  return hidden && heads && *heads > 0 ? std::optional(*hidden / *heads) : std::nullopt;
}

int64_t gguf_folder_rotary_dim(const ConfigView& config, const GgufArchitecture& entry) {
  const double part = gguf_folder_rope(config).partial_factor;
  const double rotated = static_cast<double>(gguf_folder_head_dim(config, entry).value_or(0)) * part;
  return rotated >= 0 && rotated < 1e9 ? static_cast<int64_t>(rotated) : -1;
}

double gguf_folder_query_factor(const ConfigView& config, const GgufArchitecture& entry) {
  const auto wanted = config.get_double("query_pre_attn_scalar");
  const auto head_dim = gguf_folder_head_dim(config, entry);
  if (entry.query_scale_layers == 0 || !wanted || !head_dim) return 1;
  int64_t implied = *head_dim;
  if (config.get_int(entry.layer_count) == entry.query_scale_layers) {
    const auto heads = gguf_folder_int(config, entry, "attention.head_count");
    const auto hidden = gguf_folder_int(config, entry, "embedding_length");
    if (heads && hidden && *heads > 0) implied = *hidden / *heads;
  }
  return static_cast<double>(implied) == *wanted ? 1 : std::sqrt(static_cast<double>(implied) / *wanted);
}

}  // namespace strata
