// The architectures Strata knows: one file each, one line each in the list (list.cpp). An architecture reads its
// configuration and builds the graph; outside this folder nobody asks for its name.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"
#include "compute/graph/graph.h"
#include "model/format/checkpoint.h"

namespace strata {

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
};

struct BuiltModel {
  ModelConfig config;
  Graph graph;  // inputs ids, positions, output_rows; output "logits" [O, vocab]; taps "layer.<i>"
};

struct Architecture {
  std::string_view name;       // architectures[0] of config.json
  std::string_view gguf_name;  // general.architecture
  Result<BuiltModel> (*build)(const Checkpoint&);
};

std::span<const Architecture> architectures();

// The graph of a checkpoint. kInvalidArgument when the architecture is unknown (names it and lists the known ones), or
// a field or tensor is missing or has another shape than the configuration says.
Result<BuiltModel> build_model(const Checkpoint& checkpoint);

}  // namespace strata
