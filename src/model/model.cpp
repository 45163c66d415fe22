#include "model/model.h"

#include <nlohmann/json.hpp>

#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"

namespace strata {
namespace {

std::string model_name(const std::filesystem::path& path) {
  const std::filesystem::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return last.extension() == ".gguf" ? last.stem().string() : last.string();
}

Result<std::string> read_text(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// tokenizer_config.json: one template, or a list of named ones, of which "default" counts.
std::optional<std::string> template_of_config(const ConfigView& config) {
  if (config.is_string("chat_template")) return config.get_string("chat_template");
  if (!config.is_array("chat_template")) return std::nullopt;
  for (const ConfigView& named : config.get_objects("chat_template").value_or(std::vector<ConfigView>{})) {
    if (named.get_string("name") == "default") return named.get_string("template");
  }
  return std::nullopt;
}

// The source of the template wherever the files keep it; nullopt when there is none.
Result<std::optional<std::string>> template_source(const Checkpoint& checkpoint) {
  if (const GgufFile* gguf = checkpoint.gguf()) {
    const auto text = gguf->get_string("tokenizer.chat_template");
    return text ? std::optional<std::string>(*text) : std::nullopt;
  }
  const std::filesystem::path folder = checkpoint.folder();
  if (std::filesystem::exists(folder / "chat_template.jinja")) {
    ASSIGN_OR_RETURN(std::string text, read_text(folder / "chat_template.jinja"));
    return std::optional<std::string>(std::move(text));
  }
  for (const char* file : {"chat_template.json", "tokenizer_config.json"}) {
    if (!std::filesystem::exists(folder / file)) continue;
    ASSIGN_OR_RETURN(const ConfigView config, ConfigView::read_file(folder / file));
    if (auto text = template_of_config(config)) return text;
  }
  return std::optional<std::string>();
}

}  // namespace

Model::Model(std::string name, Checkpoint checkpoint, BuiltModel built)
    : name_(std::move(name)), checkpoint_(std::move(checkpoint)), built_(std::move(built)), weights_(checkpoint_) {}

Result<std::unique_ptr<Model>> Model::load(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(path));
  ASSIGN_OR_RETURN(BuiltModel built, build_model(checkpoint));
  auto model = std::unique_ptr<Model>(new Model(model_name(path), std::move(checkpoint), std::move(built)));
  RETURN_IF_ERROR(model->load_text());
  return model;
}

Status Model::load_text() {
  Result<std::unique_ptr<Tokenizer>> tokenizer = load_tokenizer(checkpoint_);
  if (tokenizer.ok()) {
    tokenizer_ = std::move(*tokenizer);
    if (tokenizer_->vocab_size() > built_.config.vocab) {
      return invalid_argument(checkpoint_.path().string() + ": the tokenizer has " +
                              std::to_string(tokenizer_->vocab_size()) + " tokens, the model only " +
                              std::to_string(built_.config.vocab));
    }
  } else if (tokenizer.status().code() == Code::kNotFound) {
    tokenizer_status_ = tokenizer.status();
  } else {
    return tokenizer.status();
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> source, template_source(checkpoint_));
  if (!source) return ok_status();
  Result<ChatTemplate> parsed = ChatTemplate::parse(*source);
  if (!parsed.ok()) return parsed.status().with_context(checkpoint_.path().string() + ": chat template");
  chat_template_ = std::move(*parsed);
  return ok_status();
}

}  // namespace strata
