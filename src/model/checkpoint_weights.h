// A checkpoint as the source of a graph's weights. Borrowed: the checkpoint must outlive it.
#pragma once

#include "compute/graph/plan/bind.h"
#include "model/format/checkpoint.h"

namespace strata {

class CheckpointWeights final : public WeightSource {
 public:
  explicit CheckpointWeights(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}
  std::optional<WeightTensor> find(std::string_view name) const override;
  void release(std::string_view name) const override;

 private:
  const Checkpoint& checkpoint_;
};

}  // namespace strata
