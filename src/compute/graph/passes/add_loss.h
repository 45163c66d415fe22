// Pass add_loss: from a model that gives logits to one that gives the mean cross-entropy of its output rows against the
// batch's targets ([O], next-token ids; -1: not counted). Adds the output "loss", and drops the logits: where they come
// from a matmul (scaled, with a bias or bent as heads do), the two become one op that has no [O, vocab]
// in memory.
//
// For distillation two more of the kind, one for each side. None of them has [O, vocab] either.
#pragma once

#include "base/status.h"
#include "compute/graph/graph.h"
#include "compute/graph/ops/ops.h"

namespace strata {

Graph add_loss(const Graph& graph);

// The student's: the loss is against the targets and against what the batch says of a teacher (teacher_ids,
// teacher_probabilities, k tokens a row). Also adds the output "divergence". kInvalidArgument: no head to fuse.
Result<Graph> add_distillation_loss(const Graph& graph, const ops::Distillation& form, int64_t k);

// The teacher's, of weights of any type: instead of logits the outputs "teacher_ids" and "teacher_probabilities".
Result<Graph> keep_top_tokens(const Graph& graph, int64_t k, double temperature);

}  // namespace strata
