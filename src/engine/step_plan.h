// What one step does, as the scheduler decided it: block operations in order, then one flat batch of token ranges.
#pragma once

#include <vector>

#include "engine/sequence.h"

namespace strata {

// Before the step runs: copy block `from` to `to`, or set `to` to zero when `from` is negative. The order matters.
struct BlockOp {
  int from = -1;
  int to = 0;
};

// Tokens [begin, begin + count) of one sequence. Rows of logits come in this order: those of the prompt positions
// [first_prompt_row, first_prompt_row + n_prompt_rows), for prompt logprobs, then that of the last token, to sample
// from.
struct StepEntry {
  Sequence* sequence = nullptr;
  int begin = 0;
  int count = 0;
  int first_prompt_row = 0;
  int n_prompt_rows = 0;
  bool samples = false;

  int n_outputs() const { return n_prompt_rows + (samples ? 1 : 0); }
};

struct StepPlan {
  TimePoint time;  // when it was decided
  std::vector<BlockOp> block_ops;
  std::vector<StepEntry> entries;
  int tokens = 0;
  int outputs = 0;
  int preempted = 0;

  bool empty() const { return entries.empty(); }
  void clear() {
    block_ops.clear();
    entries.clear();
    tokens = outputs = preempted = 0;
  }
};

}  // namespace strata
