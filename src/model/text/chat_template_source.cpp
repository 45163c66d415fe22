#include "model/text/chat_template_source.h"

#include "base/read_file.h"
#include "model/format/config_view.h"
#include "model/format/gguf.h"

namespace strata {
namespace {

// tokenizer_config.json: one template, or a list of named ones, of which "default" counts.
std::optional<std::string> template_of_config(const ConfigView& config) {
  if (config.is_string("chat_template")) return config.get_string("chat_template");
  if (!config.is_array("chat_template")) return std::nullopt;
  for (const ConfigView& named : config.get_objects("chat_template").value_or(std::vector<ConfigView>{})) {
    if (named.get_string("name") == "default") return named.get_string("template");
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<std::string>> chat_template_source(const Checkpoint& checkpoint) {
  const GgufFile* gguf = checkpoint.gguf();
  if (gguf == nullptr) return chat_template_source(checkpoint.folder());
  const auto text = gguf->get_string("tokenizer.chat_template");
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

Result<std::optional<std::string>> chat_template_source(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "chat_template.jinja")) {
    ASSIGN_OR_RETURN(std::string text, read_file(folder / "chat_template.jinja"));
    return std::optional<std::string>(std::move(text));
  }
  for (const char* file : {"chat_template.json", "tokenizer_config.json"}) {
    if (!std::filesystem::exists(folder / file)) continue;
    ASSIGN_OR_RETURN(const ConfigView config, ConfigView::read_file(folder / file));
    if (auto text = template_of_config(config)) return text;
  }
  return std::optional<std::string>();
}

}  // namespace strata
