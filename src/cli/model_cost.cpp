#include "cli/model_cost.h"

#include <algorithm>
#include <cmath>

#include "compute/graph/matmul_nodes.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/plan/cache_shape.h"

namespace strata::cli {

ModelCost model_cost(const Graph& graph, DType cache_type) {
  ModelCost cost;
  for (const Node& node : graph.nodes()) {
    if (!is_matmul(node)) continue;
    const TensorType& weight = graph.type(node.inputs[1]);
    const double numbers = numbers_of(weight);
    const DTypeTraits& t = traits(weight.dtype);
    const double bytes = numbers / t.block_elements * t.block_bytes;
    double multiplied = numbers;
    if (node.op->name == "expert_matmul") {
      multiplied *=
          static_cast<double>(node.attributes.integer("n_used")) / static_cast<double>(weight.shape[0].factor);
      cost.expert_bytes += bytes;
    } else {
      cost.dense_bytes += bytes;
    }
    const bool head = node.outputs[0].shape[0].symbol == Symbol::kOutputs;
    double& ops = has_whole_numbers(weight.dtype) ? (head ? cost.head_int8_ops : cost.int8_ops)
                  : weight.dtype == DType::kBF16  ? (head ? cost.head_bf16_ops : cost.bf16_ops)
                                                  : (head ? cost.head_fp32_ops : cost.fp32_ops);
    ops += 2 * multiplied;
  }
  const Graph lowered = lower_attention_paged(graph, cache_type);
  for (const Node& node : lowered.nodes()) {
    if (node.kind == NodeKind::kState)
      cost.cache_bytes_per_token += static_cast<double>(cache_shape(node).block_bytes()) / kBlockTokens;
  }
  return cost;
}

double arithmetic_seconds(const ModelCost& cost, const Ceilings& peak, double tokens, double outputs) {
  const auto seconds = [](double ops, double gops) { return ops == 0 ? 0 : gops > 0 ? ops / (gops * 1e9) : INFINITY; };
  // A processor without the instruction computes these types in fp32.
  const double int8 = peak.int8_gops > 0 ? peak.int8_gops : peak.fp32_gops;
  const double bf16 = peak.bf16_gops > 0 ? peak.bf16_gops : peak.fp32_gops;
  return tokens *
             (seconds(cost.int8_ops, int8) + seconds(cost.bf16_ops, bf16) + seconds(cost.fp32_ops, peak.fp32_gops)) +
         outputs * (seconds(cost.head_int8_ops, int8) + seconds(cost.head_bf16_ops, bf16) +
                    seconds(cost.head_fp32_ops, peak.fp32_gops));
}

std::string arithmetic_name(const ModelCost& cost) {
  std::string text;
  const auto add = [&](double ops, const char* name) {
    if (ops > 0) text += (text.empty() ? "" : "+") + std::string(name);
  };
  add(cost.int8_ops + cost.head_int8_ops, "int8");
  add(cost.bf16_ops + cost.head_bf16_ops, "bf16");
  add(cost.fp32_ops + cost.head_fp32_ops, "fp32");
  return text;
}

double decode_bytes(const ModelCost& cost, double sequences, double context, double experts_share) {
  return cost.dense_bytes + cost.expert_bytes * experts_share + sequences * context * cost.cache_bytes_per_token;
}

double decode_roof(const ModelCost& cost, const Ceilings& peak, double sequences, double context,
                   double experts_share) {
  const double seconds = std::max(decode_bytes(cost, sequences, context, experts_share) / (peak.read_gbs * 1e9),
                                  arithmetic_seconds(cost, peak, sequences, sequences));
  return sequences / seconds;
}

}  // namespace strata::cli
