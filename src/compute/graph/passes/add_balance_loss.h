// Pass add_balance_loss: of a model with experts that has the output "loss", how evenly its routers spread the tokens,
// as the output "balance", and with a weight as a part of the loss. As transformers computes it for
// router_aux_loss_coef: shares over the tokens of all layers together; n_used where they are even, n_experts at most.
// Another output, "expert_shares" [2, n_experts], says it expert by expert. A model without experts stays as it is.
#pragma once

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

// kInvalidArgument: a weight, and routers whose scores are no softmax.
Result<Graph> add_balance_loss(const Graph& graph, double weight);

}  // namespace strata
