// Training of a low-rank adapter (LoRA, https://arxiv.org/abs/2106.09685): a model whose own weights stay as they are
// stored, quantized ones too, and whose parameters are the adapter's factors alone.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "compute/graph/passes/train_adapters.h"
#include "learn/train/parameters.h"
#include "model/format/checkpoint.h"

namespace strata {

struct AdapterOptions {
  int64_t rank = 16;
  double alpha = 32;  // the scale is alpha / rank
  // Ends of names of linear layers ("q_proj"), or "all-linear": all but the head and what chooses experts.
  std::vector<std::string> targets = {"all-linear"};
};

struct AdaptedModel {
  Graph graph;
  Parameters parameters;  // "lora_a.<tensor>" and "lora_b.<tensor>", one after the other
  std::vector<TrainedAdapter> adapters;
};

// First numbers as PEFT has them: of a uniform within 1 / sqrt(inputs), of b zeros. kInvalidArgument names a target
// that no linear layer has.
Result<AdaptedModel> adapt_model(const Graph& graph, const Checkpoint& base, const AdapterOptions& options,
                                 uint64_t seed);

// Writes the adapter in PEFT's form. `numbers`: of the parameters, in their order.
Status save_adapter(const std::filesystem::path& folder, const std::vector<TrainedAdapter>& adapters,
                    const Checkpoint& base, const AdapterOptions& options,
                    const std::vector<std::span<const float>>& numbers);

}  // namespace strata
