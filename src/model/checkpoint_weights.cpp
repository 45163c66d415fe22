#include "model/checkpoint_weights.h"

#include "model/format/row_source.h"

namespace strata {

std::optional<WeightTensor> CheckpointWeights::find(std::string_view name) const {
  const TensorInfo* tensor = checkpoint_.find(name);
  if (tensor == nullptr) return std::nullopt;
  WeightTensor out{tensor->type, tensor->shape, tensor->data, {}};
  if (tensor->made != nullptr) {
    out.read = [rows = tensor->made](int64_t begin, int64_t end, std::byte* to) { rows->read(begin, end, to); };
  }
  return out;
}

void CheckpointWeights::release(std::string_view name) const {
  if (const TensorInfo* tensor = checkpoint_.find(name)) checkpoint_.release(*tensor);
}

}  // namespace strata
