// Lays a step's plan out as the flat batch that the runner computes. Keeps its buffers, so that a step allocates
// nothing once they have grown. The batch borrows from this object until the next build().
#pragma once

#include <vector>

#include "compute/graph/batch.h"
#include "engine/step_plan.h"

namespace strata {

class StepBatch {
 public:
  explicit StepBatch(int block_tokens) : block_tokens_(block_tokens) {}
  const Batch& build(const StepPlan& plan);

 private:
  void add(const StepEntry& entry);
  int32_t slot_of(const AdapterWeights& adapter);

  const int block_tokens_;
  std::vector<int32_t> ids_, positions_, query_begin_, context_len_, block_table_, output_rows_, adapters_, long_rope_;
  std::vector<const AdapterWeights*> adapter_weights_;
  std::vector<int64_t> slots_;
  Batch batch_;
};

}  // namespace strata
