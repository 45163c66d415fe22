// A training run as a YAML file says it: sections model, lora, tokenizer, data, distill, loss, optimizer, schedule and
// run. Keys that nobody reads are errors, which name the nearest key that is known. docs/guides/training.md lists all keys.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/status.h"
#include "learn/data/corpus.h"
#include "learn/data/tokenizer_training.h"
#include "learn/train/adapter.h"
#include "learn/train/choose_recompute.h"
#include "learn/train/distillation.h"
#include "learn/train/optimizer.h"
#include "learn/train/precision.h"
#include "learn/train/schedule.h"
#include "model/format/config_view.h"

namespace strata {

struct Recipe {
  std::string text;             // the file, as it is
  std::filesystem::path folder;  // paths are relative to it
  std::filesystem::path base;   // model.base: a folder or GGUF file to go on from; empty: a new model
  std::vector<int64_t> layers;  // model.layers: those of the base to begin with; empty: all
  int64_t width = 0;            // model.width: of the narrower models inside the base, this one to begin with; 0: all
  std::vector<int64_t> widths;  // model.widths of a base; empty: those it has
  std::string config_json;      // of a new model, as config.json has it but for vocab_size and token ids
  double initial_deviation = 0.02;

  std::optional<AdapterOptions> lora;  // an adapter of the base is trained; else all weights are

  std::filesystem::path tokenizer;                 // tokenizer.path: a folder that has one
  std::optional<TokenizerTraining> new_tokenizer;  // else trained on the corpus
  std::string chat_template;                       // tokenizer.chat_template; empty: the tokenizer's own, if any

  CorpusOptions corpus;
  double held_out = 0.01;  // data.validation
  int64_t group_blocks = 8;

  std::optional<DistillationOptions> distillation;  // section distill
  std::vector<double> exit_weights;                 // loss.exits
  std::vector<double> width_weights;                // loss.widths
  double balance = 0;                               // loss.balance

  OptimizerOptions optimizer;
  double max_norm = 1;
  double average_decay = 0;
  ScheduleOptions schedule;

  Precision precision = Precision::kFp32;
  uint64_t seed = 0;
  int64_t context = 256;
  int64_t batch_tokens = 4096;  // of a step
  int64_t micro_tokens = 4096;  // of one pass through the graph: what activations take memory for
  RecomputeRule recompute = RecomputeRule::kNone;
  int64_t checkpoint_every = 200;
  int64_t validate_every = 200;
  int64_t validation_tokens = 16384;
  std::filesystem::path beside;  // the folder of another run, or empty
};

// Paths are relative to the recipe's folder. kInvalidArgument names the file, the key and what is wrong.
Result<Recipe> read_recipe(const std::filesystem::path& path);
Result<Recipe> parse_recipe(const std::string& text, const std::filesystem::path& folder);

}  // namespace strata
