// Pass in_bfloat16: mixed precision for a differentiated graph. Matmuls of fp32 weights and the head's, and both gradients
// of them, multiply bfloat16 numbers and add in fp32: activations and their gradients are rounded where they are
// multiplied, and weights are taken from rounded copies that the caller keeps beside the fp32 ones. What the backward part
// reads of the forward part waits in bfloat16 too. Logits, the loss and the gradients of weights stay fp32.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "compute/graph/graph.h"

namespace strata {

// The name of the rounded copy of a tensor, and the tensor of such a name; empty: it is no such name.
std::string rounded_name(std::string_view tensor);
std::string_view tensor_of_rounded(std::string_view name);

// `is_rows`: whether a reference is neighbouring rows of a tensor, as they lie. Others stay fp32.
Graph in_bfloat16(const Graph& graph, const std::function<bool(const WeightRef&)>& is_rows,
                  std::string_view loss = "loss");

}  // namespace strata
