#include "learn/train/choose_recompute.h"

#include <fmt/format.h>

#include <algorithm>

#include "compute/graph/operations.h"
#include "compute/graph/passes/plan_memory.h"
#include "compute/graph/passes/waves.h"

namespace strata {
namespace {

using Choice = std::vector<Recomputed>;

// From no recomputation to the most, each a step cheaper than the next: the row-wise ops of one layer more, then all of
// one layer more. Early layers first: what the last ones keep is needed as soon as the backward part begins.
std::vector<Choice> ascending_choices(int n_layers) {
  std::vector<Choice> choices{Choice(static_cast<size_t>(n_layers), Recomputed::kNothing)};
  for (const Recomputed what : {Recomputed::kRows, Recomputed::kAll}) {
    for (size_t layer = 0; layer < static_cast<size_t>(n_layers); ++layer) {
      Choice next = choices.back();
      next[layer] = what;
      choices.push_back(std::move(next));
    }
  }
  return choices;
}

// The last layer is left as it is: the backward part begins with it, when no other layer is computed again yet.
Choice choice_of(RecomputeRule rule, int n_layers) {
  constexpr Recomputed kEvery[] = {Recomputed::kNothing, Recomputed::kRows, Recomputed::kAll};
  Choice choice(static_cast<size_t>(n_layers), kEvery[static_cast<size_t>(rule)]);
  if (!choice.empty()) choice.back() = Recomputed::kNothing;
  return choice;
}

class Chooser {
 public:
  Chooser(const Graph& differentiated, const RecomputeRequest& request)
      : plain_(differentiated),
        request_(request),
        n_layers_(count_layers(differentiated)),
        plain_activations_(plan_memory_of(differentiated).bytes_inside),
        plain_operations_(count_operations(differentiated, request.maxima, request.context)) {}

  RecomputeChoice make(Choice of_layer) const {
    RecomputeChoice choice;
    choice.graph = recompute(plain_, of_layer);
    choice.of_layer = std::move(of_layer);
    const MemoryPlan memory = plan_memory_of(choice.graph);
    choice.arena_bytes = memory.bytes;
    choice.activation_bytes = memory.bytes_inside;
    choice.plain_activation_bytes = plain_activations_;
    choice.work = count_operations(choice.graph, request_.maxima, request_.context) / plain_operations_;
    return choice;
  }

  Result<RecomputeChoice> first_that_fits() const {
    uint64_t least = UINT64_MAX;
    for (Choice& of_layer : ascending_choices(n_layers_)) {
      RecomputeChoice choice = make(std::move(of_layer));
      const uint64_t needed = request_.fixed + choice.arena_bytes;
      if (needed <= request_.memory) return choice;
      least = std::min(least, needed);
    }
    return invalid_argument(fmt::format(
        "--memory: {} bytes are too few: this run needs at least {} when it recomputes all layers, {} of them whatever "
        "it recomputes (give as much, or lower run.micro_tokens, {} now)",
        request_.memory, least, request_.fixed, request_.maxima[Symbol::kTokens]));
  }

  Choice by_rule() const { return choice_of(request_.rule, n_layers_); }

 private:
  MemoryPlan plan_memory_of(const Graph& graph) const {
    const Graph lowered = request_.lower(graph);
    return plan_memory(lowered, schedule_waves(lowered), request_.maxima);
  }

  const Graph& plain_;
  const RecomputeRequest& request_;
  int n_layers_;
  size_t plain_activations_;
  double plain_operations_;
};

// "all of layers 0-5, row-wise ops of 6-7": layers of a kind are neighbours.
std::string layers_text(const Choice& of_layer, Recomputed what) {
  const auto first = std::find(of_layer.begin(), of_layer.end(), what);
  const auto count = std::count(of_layer.begin(), of_layer.end(), what);
  const auto begin = first - of_layer.begin();
  return count == 1 ? fmt::format("{}", begin) : fmt::format("{}-{}", begin, begin + count - 1);
}

}  // namespace

Result<RecomputeRule> recompute_rule_from_name(std::string_view name) {
  if (name == "none") return RecomputeRule::kNone;
  if (name == "rows") return RecomputeRule::kRows;
  if (name == "layers") return RecomputeRule::kLayers;
  return invalid_argument("expected none, rows or layers, got \"" + std::string(name) + "\"");
}

bool RecomputeChoice::recomputes() const {
  return std::any_of(of_layer.begin(), of_layer.end(), [](Recomputed what) { return what != Recomputed::kNothing; });
}

std::string RecomputeChoice::summary() const {
  std::string what;
  for (const auto& [kind, text] : {std::pair{Recomputed::kAll, "all"}, {Recomputed::kRows, "row-wise ops"}}) {
    if (std::find(of_layer.begin(), of_layer.end(), kind) == of_layer.end()) continue;
    what += fmt::format("{}{} of layers {}", what.empty() ? "" : ", ", text, layers_text(of_layer, kind));
  }
  constexpr double kMiB = 1 << 20;
  return fmt::format(
      "recompute: {}: activations {:.1f} MiB in place of {:.1f} ({:.2f}x), {:.2f}x the operations",
      what.empty() ? "nothing" : what, static_cast<double>(activation_bytes) / kMiB,
      static_cast<double>(plain_activation_bytes) / kMiB,
      static_cast<double>(activation_bytes) / static_cast<double>(std::max<size_t>(1, plain_activation_bytes)), work);
}

Result<RecomputeChoice> choose_recompute(const Graph& differentiated, const RecomputeRequest& request) {
  const Chooser chooser(differentiated, request);
  if (request.memory > 0) return chooser.first_that_fits();
  return chooser.make(chooser.by_rule());
}

}  // namespace strata
