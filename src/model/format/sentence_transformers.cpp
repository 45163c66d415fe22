#include "model/format/sentence_transformers.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr std::pair<std::string_view, Pooling> kModes[] = {
    {"mean", Pooling::kMean}, {"cls", Pooling::kFirst}, {"lasttoken", Pooling::kLast}};
constexpr std::pair<std::string_view, std::string_view> kSwitches[] = {
    {"pooling_mode_mean_tokens", "mean"},
    {"pooling_mode_cls_token", "cls"},
    {"pooling_mode_lasttoken", "lasttoken"},
    {"pooling_mode_max_tokens", "max"},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
    {"pooling_mode_weightedmean_tokens", "weightedmean"}};

// The newer form names the mode, the older one has a switch for each.
Result<Pooling> read_pooling(const fs::path& path) {
  ASSIGN_OR_RETURN(const ConfigView config, ConfigView::read_file(path));
  std::string mode;
  if (config.is_string("pooling_mode")) {
    mode = config.get_string("pooling_mode").value_or("");
  } else {
    for (const auto& [key, name] : kSwitches) {
      if (config.get_bool(key).value_or(false)) mode += (mode.empty() ? "" : "+") + std::string(name);
    }
  }
  RETURN_IF_ERROR(config.status());
  for (const auto& [name, pooling] : kModes) {
    if (mode == name) return pooling;
  }
  return invalid_argument(path.string() + ": pooling \"" + mode + "\" is not supported (mean, cls and lasttoken are)");
}

// What follows the last dot of "sentence_transformers.models.Pooling".
std::string module_kind(const ConfigView& module) {
  const std::string type = module.get_string("type").value_or("");
  return type.substr(type.rfind('.') == std::string::npos ? 0 : type.rfind('.') + 1);
}

Result<EmbeddingDefaults> read_modules(const fs::path& folder) {
  EmbeddingDefaults defaults;
  const fs::path list = folder / "modules.json";
  ASSIGN_OR_RETURN(nlohmann::json modules, read_json_file(list));
  const ConfigView view({{"modules", std::move(modules)}}, list.string());
  defaults.normalize = false;
  for (const ConfigView& module : view.get_objects("modules").value_or(std::vector<ConfigView>{})) {
    const std::string kind = module_kind(module);
    if (kind == "Pooling") {
      const fs::path inside = fs::path(module.get_string("path").value_or("")).lexically_normal();
      if (inside.is_absolute() || (!inside.empty() && *inside.begin() == "..")) {
        return invalid_argument(list.string() + ": the path of a module leaves the folder");
      }
      ASSIGN_OR_RETURN(defaults.pooling, read_pooling(folder / inside / "config.json"));
    } else if (kind == "Normalize") {
      defaults.normalize = true;
    } else if (kind != "Transformer") {
      return invalid_argument(list.string() + ": module \"" + kind +
                              "\" is not supported (Transformer, Pooling and Normalize are)");
    }
  }
  RETURN_IF_ERROR(view.status());
  return defaults;
}

}  // namespace

Result<EmbeddingDefaults> read_embedding_defaults(const Checkpoint& checkpoint) {
  EmbeddingDefaults defaults;
  if (checkpoint.gguf() != nullptr) {
    switch (checkpoint.config().get_int("gguf_pooling_type").value_or(0)) {
      case 1:
        defaults.pooling = Pooling::kMean;
        break;
      case 2:
        defaults.pooling = Pooling::kFirst;
        break;
      case 3:
        defaults.pooling = Pooling::kLast;
        break;
      default:
        break;  // not said, or a reranker
    }
    return defaults;
  }
  const fs::path& folder = checkpoint.folder();
  if (fs::exists(folder / "modules.json")) {
    ASSIGN_OR_RETURN(defaults, read_modules(folder));
  }
  const fs::path limits = folder / "sentence_bert_config.json";
  if (fs::exists(limits)) {
    ASSIGN_OR_RETURN(const ConfigView config, ConfigView::read_file(limits));
    defaults.max_tokens = config.get_int("max_seq_length");
    RETURN_IF_ERROR(config.status());
    if (defaults.max_tokens && *defaults.max_tokens < 1) {
      return invalid_argument(limits.string() + ": max_seq_length must be at least 1");
    }
  }
  return defaults;
}

}  // namespace strata
