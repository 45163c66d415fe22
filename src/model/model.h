// A model as loaded from disk: checkpoint (mapped), graph, tokenizer, chat template. Immutable; shared by everything
// that runs it. What it computes with (packed weights, plans, caches) belongs to a runner (engine/model_runner.h).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/arch/architecture.h"
#include "model/checkpoint_weights.h"
#include "model/format/checkpoint.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace strata {

class Model {
 public:
  // `path`: a GGUF file or a Hugging Face folder. Errors say which file or field and what to do.
  // `width`: of the narrower models inside it, this one (model/width.h); 0: the whole model.
  static Result<std::unique_ptr<Model>> load(const std::filesystem::path& path, int64_t width = 0);

  const std::string& name() const { return name_; }  // file name without ".gguf", or the folder's name
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const ModelConfig& config() const { return built_.config; }
  const Graph& graph() const { return built_.graph; }
  const WeightSource& weights() const { return weights_; }
  const GenerationDefaults& generation() const { return checkpoint_.generation(); }
  // Null when the files have none (goldens do not): only token ids can be used then. tokenizer_status() says why.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  const Status& tokenizer_status() const { return tokenizer_status_; }
  // Null when the model has none.
  const ChatTemplate* chat_template() const { return chat_template_ ? &*chat_template_ : nullptr; }

 private:
  Model(std::string name, Checkpoint checkpoint, BuiltModel built);
  Status load_text();

  std::string name_;
  Checkpoint checkpoint_;
  BuiltModel built_;
  CheckpointWeights weights_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Status tokenizer_status_;
  std::optional<ChatTemplate> chat_template_;
};

}  // namespace strata
