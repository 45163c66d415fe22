// Pass add_loss: from a model that gives logits to one that gives the mean cross-entropy of its output rows against the
// batch's targets ([O], next-token ids; -1: not counted). Adds the output "loss", and drops the logits: where they come
// from a matmul (scaled, with a bias or bent as heads do), the two become one op that has no [O, vocab]
// in memory.
//
// For distillation two more of the kind, one for each side. None of them has [O, vocab] either.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "compute/graph/graph.h"
#include "compute/graph/ops/ops.h"

namespace strata {

// Early exits are the taps "exit.<layer>" [O, hidden] of a model: normed hidden states that the head may turn into
// logits already.
std::vector<NamedValue> exits_of(const Graph& graph);

// `exit_weights`: empty, or for each exit, in order, what its cross-entropy counts in the loss. Each becomes an output
// "loss.exit.<layer>" times its weight; 0: it does not count, and the output is the loss itself.
Graph add_loss(const Graph& graph, std::span<const double> exit_weights = {});

// The student's: the loss is against the targets and against what the batch says of a teacher (teacher_ids,
// teacher_probabilities, k tokens a row). Also adds the outputs "divergence", the mean, and "divergences", of each row.
// kInvalidArgument: no head to fuse.
Result<Graph> add_distillation_loss(const Graph& graph, const ops::Distillation& form, int64_t k,
                                    std::span<const double> exit_weights = {});

// Adds to the output "loss" how far hidden states of a student are from a teacher's: weight * the mean over the pairs
// of the mean (x - teacher)^2, as the output "hidden_distance" also. Pair i's teacher is the batch's teacher_hidden[i];
// where widths differ, the student's go through a matrix that is learned, the weight hidden_projection(i).
struct HiddenPair {
  int64_t layer = 0;  // of the student, from 0
  int64_t teacher_width = 0;
};
Result<Graph> add_hidden_losses(const Graph& graph, std::span<const HiddenPair> pairs, double weight);
std::string hidden_projection(size_t pair);

// The teacher's, of weights of any type: instead of logits the outputs "teacher_ids" and "teacher_probabilities", and
// "teacher_hidden.<i>", the hidden states after layers[i].
Result<Graph> keep_top_tokens(const Graph& graph, int64_t k, double temperature, std::span<const int64_t> layers = {});

}  // namespace strata
