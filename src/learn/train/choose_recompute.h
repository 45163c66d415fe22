// What a training run recomputes: as its recipe says, or as little as fits in the memory it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/graph/passes/recompute.h"

namespace strata {

enum class RecomputeRule : uint8_t {
  kNone,
  kRows,    // what row-wise ops give, in all layers but the last
  kLayers,  // all layers but the last, but for what later ones read
};
// "none", "rows", "layers"; kInvalidArgument lists them.
Result<RecomputeRule> recompute_rule_from_name(std::string_view name);

struct RecomputeRequest {
  RecomputeRule rule = RecomputeRule::kNone;
  uint64_t memory = 0;  // of the run, for all that it plans; 0: the rule decides, otherwise it is not asked
  uint64_t fixed = 0;   // of that, whatever is recomputed: weights, what the optimizer remembers
  SymbolValues maxima;  // of a batch
  double context = 0;   // tokens that a token sees, on average
  std::function<Graph(const Graph&)> lower;  // from a differentiated graph to the one that runs
};

struct RecomputeChoice {
  Graph graph;  // differentiated, with what it computes again
  std::vector<Recomputed> of_layer;
  size_t arena_bytes = 0;             // activations, and gradients as they come
  size_t activation_bytes = 0;        // the most of activations at a time
  size_t plain_activation_bytes = 0;  // the same without recomputation
  double work = 1;                    // operations, relative to those without

  bool recomputes() const;
  std::string summary() const;  // for people
};

// kInvalidArgument when the memory is too small whatever is recomputed: says how much is needed.
Result<RecomputeChoice> choose_recompute(const Graph& differentiated, const RecomputeRequest& request);

}  // namespace strata
