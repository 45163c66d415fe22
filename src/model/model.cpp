#include "model/model.h"

#include "model/text/chat_template_source.h"
#include "model/text/load_tokenizer.h"
#include "model/width.h"

namespace strata {
namespace {

std::string model_name(const std::filesystem::path& path) {
  const std::filesystem::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return last.extension() == ".gguf" ? last.stem().string() : last.string();
}

}  // namespace

Model::Model(std::string name, Checkpoint checkpoint, BuiltModel built)
    : name_(std::move(name)), checkpoint_(std::move(checkpoint)), built_(std::move(built)), weights_(checkpoint_) {}

Result<std::unique_ptr<Model>> Model::load(const std::filesystem::path& path, int64_t width) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(path));
  ASSIGN_OR_RETURN(BuiltModel built, build_model(checkpoint));
  if (width != 0) {
    Result<Graph> narrow = graph_at_width(built.graph, built.config.widths, width);
    if (!narrow.ok()) return narrow.status().with_context(path.string());
    built.graph = *std::move(narrow);
  }
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
  ASSIGN_OR_RETURN(const std::optional<std::string> source, chat_template_source(checkpoint_));
  if (!source) return ok_status();
  Result<ChatTemplate> parsed = ChatTemplate::parse(*source);
  if (!parsed.ok()) return parsed.status().with_context(checkpoint_.path().string() + ": chat template");
  chat_template_ = std::move(*parsed);
  return ok_status();
}

}  // namespace strata
