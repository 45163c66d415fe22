#include "learn/train/new_model.h"

#include <cmath>
#include <map>
#include <numbers>

#include "base/hash.h"
#include "compute/graph/op.h"
#include "learn/data/shuffle.h"

namespace strata {
namespace {

enum class Role : uint8_t { kMatrix, kConstant };
struct Start {
  Role role = Role::kMatrix;
  float value = 0;
};

// What the graph does with a tensor, by its name.
std::map<std::string, Start> starts_of(const Graph& graph) {
  std::map<std::string, Start> starts;
  for (const Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kOp) continue;
    const std::string_view op = node.op->name;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Node& weight = graph.node(node.inputs[i]);
      if (weight.kind != NodeKind::kWeight) continue;
      Start start;
      const bool is_norm = op == "rms_norm" || op == "layer_norm";
      if (is_norm) {
        const auto factor = static_cast<float>(1 - node.attributes.number("w_offset"));
        start = {Role::kConstant, i == 1 ? factor : 0.0F};
      } else if (graph.type(node.inputs[i]).shape.size() == 1) {
        start = {Role::kConstant, 0};  // biases, sinks, the router's choice
      }
      for (const WeightPart& part : weight.weight.parts) starts.emplace(part.tensor, start);
    }
  }
  return starts;
}

}  // namespace

void draw_numbers(Parameter& parameter, const InitialNumbers& options) {
  const uint64_t stream = hash_bytes(std::as_bytes(std::span(parameter.name))).low;
  const std::span<float> values = parameter.values();
  for (size_t i = 0; i < values.size(); i += 2) {  // Box and Muller: two numbers of two draws
    const uint64_t bits = random_bits(options.seed, stream, i);
    const double a = (static_cast<double>(bits >> 32) + 1) * 0x1p-32;
    const double b = static_cast<double>(bits & 0xFFFFFFFF) * 0x1p-32;
    const double radius = options.deviation * std::sqrt(-2 * std::log(a));
    values[i] = static_cast<float>(radius * std::cos(2 * std::numbers::pi * b));
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(radius * std::sin(2 * std::numbers::pi * b));
  }
}

Parameters make_parameters(const BuiltModel& model, const InitialNumbers& options) {
  const std::map<std::string, Start> starts = starts_of(model.graph);
  Parameters parameters;
  for (const WantedTensor& tensor : model.wanted) {
    Parameter& parameter = parameters.add(tensor.name, tensor.shape);
    const auto at = starts.find(tensor.name);
    if (at == starts.end() || at->second.role == Role::kMatrix) {
      draw_numbers(parameter, options);
    } else {
      std::fill(parameter.values().begin(), parameter.values().end(), at->second.value);
    }
  }
  return parameters;
}

}  // namespace strata
