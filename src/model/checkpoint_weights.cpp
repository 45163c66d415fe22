#include "model/checkpoint_weights.h"

namespace strata {

std::optional<WeightTensor> CheckpointWeights::find(std::string_view name) const {
  const TensorInfo* tensor = checkpoint_.find(name);
  if (tensor == nullptr) return std::nullopt;
  return WeightTensor{tensor->type, tensor->shape, tensor->data};
}

void CheckpointWeights::release(std::string_view name) const {
  if (const TensorInfo* tensor = checkpoint_.find(name)) checkpoint_.release(tensor->data);
}

}  // namespace strata
