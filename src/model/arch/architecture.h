// The architectures Strata knows: one file each, one line each in the list (list.cpp). An architecture reads its
// configuration and builds the graph; outside this folder nobody asks for its name.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"
#include "compute/graph/graph.h"
#include "model/format/checkpoint.h"
#include "model/format/nested_widths.h"
#include "model/format/sentence_transformers.h"

namespace strata {

// What a model is for. Models that generate can give embeddings too: their pooled final hidden states.
enum class ModelKind : uint8_t { kGenerates, kEmbeds, kRanks };

// What everybody else may ask of a model.
struct ModelConfig {
  std::string_view architecture;  // as published: "LlamaForCausalLM"
  int64_t vocab = 0;
  int64_t hidden = 0;
  int64_t n_layers = 0;
  int64_t max_context = 0;
  // > 0: sequences of more tokens rotate by other frequencies, from their first token on (Batch::long_rope).
  int64_t short_context = 0;
  int64_t n_experts = 0;  // 0: dense
  int64_t n_experts_used = 0;
  NestedWidths widths = {};

  ModelKind kind = ModelKind::kGenerates;
  Pooling pooling = Pooling::kLast;  // how an embedding is made of the hidden states when nobody says
  bool normalize = true;             // embeddings have length 1 when nobody says
  int64_t embedding_dim = 0;         // numbers of an embedding: hidden
  // Embeddings may be cut to their first numbers (https://arxiv.org/abs/2205.13147) unless the files say that they may
  // not, and to these sizes alone when they list some.
  bool may_shorten = true;
  std::vector<int64_t> short_dims = {};
  int64_t max_input = 0;      // tokens of a text to embed or of a pair to score
  int64_t n_labels = 0;       // kRanks: scores of a pair
  int64_t n_token_types = 0;  // texts of a pair that the model tells apart; 0: it does not
  // >= 0: positions count from padding_id + 1 over the tokens that are not padding, which stand at padding_id
  // (RoBERTa).
  int32_t padding_id = -1;
};

// A tensor that a model still to be made wants.
struct WantedTensor {
  std::string name;
  std::vector<int64_t> shape;  // outermost first
};

struct BuiltModel {
  ModelConfig config;
  // Taps "layer.<i>". Generating: inputs ids, positions, output_rows; output "logits" [O, vocab]; tap "hidden" [O,
  // hidden], the final hidden states. Encoders (encoder.h): inputs ids, positions, maybe token_types; outputs [S,
  // hidden] "cls", "mean" and "last", maybe "pooler" and "score".
  Graph graph;
  std::vector<WantedTensor> wanted = {};  // build_new_model() alone; in the order of the model, each once
};

struct Architecture {
  std::string_view name;  // architectures[0] of config.json; for GGUF the format room translates general.architecture
  Result<BuiltModel> (*build)(const Checkpoint&);
  bool headless = false;            // a decoder published without its head: for embeddings
  std::string_view published = {};  // a tensor by whose presence it knows the published names; new models have them
};

std::span<const Architecture> architectures();

// The graph of a checkpoint. kInvalidArgument when the architecture is unknown (names it and lists the known ones), or
// a field or tensor is missing or has another shape than the configuration says.
Result<BuiltModel> build_model(const Checkpoint& checkpoint);
// The graph of a model that does not exist yet and the tensors it wants, in fp32, from a configuration as config.json
// has it. kInvalidArgument as above, and where the architecture does not generate.
Result<BuiltModel> build_new_model(const ConfigView& config);

}  // namespace strata
