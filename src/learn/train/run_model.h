// What a run begins with: its model and tokenizer, new or from files, and the files that go with the weights.
#pragma once

#include <memory>
#include <optional>

#include "base/status.h"
#include "learn/train/parameters.h"
#include "learn/train/recipe.h"
#include "learn/train/run_folder.h"
#include "model/arch/architecture.h"
#include "model/checkpoint_weights.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace strata {

// The model that an adapter is trained for, whose weights stay as they are.
struct FrozenBase {
  explicit FrozenBase(Checkpoint opened) : checkpoint(std::move(opened)), weights(checkpoint) {}
  Checkpoint checkpoint;
  CheckpointWeights weights;
};

struct RunModel {
  BuiltModel built;
  Parameters parameters;
  std::unique_ptr<Tokenizer> tokenizer;
  std::string config;  // config.json of the result; empty: it is an adapter
  std::unique_ptr<FrozenBase> base = {};
  std::vector<TrainedAdapter> adapters = {};
  std::optional<ChatTemplate> chat_template = {};
  std::unique_ptr<Checkpoint> gguf = {};  // the file that all weights were taken from; the result has its tokenizer
};

// Writes the tokenizer's files into the folder, where they are not there yet; one that the folder has is used again.
// kInvalidArgument: sizes that do not fit each other, keys of the model that nobody reads.
// `on_tokenizer`: where one is trained, the share of that which is done.
Result<RunModel> prepare_model(const Recipe& recipe, const Corpus& corpus, const RunFolder& folder, ThreadPool& pool,
                               const OnShareDone& on_tokenizer = {});

}  // namespace strata
