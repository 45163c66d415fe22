// What a model costs by its graph: operations and bytes of a step, the least time a machine of given ceilings needs.
#pragma once

#include <string>

#include "compute/graph/graph.h"
#include "compute/kernels/ceilings.h"

namespace strata::cli {

struct ModelCost {
  // Operations of one token (two per weight it multiplies), by the arithmetic of the weights' type.
  double int8_ops = 0, bf16_ops = 0, fp32_ops = 0;
  double head_int8_ops = 0, head_bf16_ops = 0, head_fp32_ops = 0;  // the output projection, for rows that give logits
  double dense_bytes = 0;         // of the file's weights that every step reads, head included
  double expert_bytes = 0;        // of all experts
  double cache_bytes_per_token = 0;
};
ModelCost model_cost(const Graph& graph, DType cache_type);

// Seconds for the arithmetic of `tokens` tokens, `outputs` of them with logits, at the machine's peak.
double arithmetic_seconds(const ModelCost& cost, const Ceilings& peak, double tokens, double outputs);
// "int8", "bf16", "fp32" or, where the weights' types differ, the arithmetics joined by "+".
std::string arithmetic_name(const ModelCost& cost);
// Bytes that a step decoding `sequences` sequences at this context cannot do without: the file's weights it touches and
// the cache. `experts_share`: the share of all experts that one of the sequences chose.
double decode_bytes(const ModelCost& cost, double sequences, double context, double experts_share);
// Tokens per second that decoding `sequences` sequences at this context cannot pass: the lower of the two roofs.
double decode_roof(const ModelCost& cost, const Ceilings& peak, double sequences, double context,
                   double experts_share);

}  // namespace strata::cli
