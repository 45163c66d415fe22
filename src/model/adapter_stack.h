// Several LoRA adapters stacked for one graph: slot s of every stacked weight is adapter s. Gives pass add_adapters its
// targets and serves the stacked tensors "lora_a.<weight>" [slots, rank, k] and "lora_b.<weight>" [slots, n, rank]
// beside the tensors of the model itself. Adapters of smaller rank, and weights an adapter leaves alone, are zeros.
//
// Immutable after make(). Borrows the model's source; owns the stacked bytes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "compute/graph/passes/adapters.h"
#include "compute/graph/plan/bind.h"
#include "model/format/lora_adapter.h"

namespace strata {

class AdapterStack final : public WeightSource {
 public:
  // kInvalidArgument when an adapter changes a weight that the model does not have, or has with another shape.
  static Result<AdapterStack> make(const WeightSource& model, const std::vector<const LoraAdapter*>& adapters);

  const std::vector<AdapterTarget>& targets() const { return targets_; }
  std::optional<WeightTensor> find(std::string_view name) const override;
  void release(std::string_view name) const override { model_->release(name); }

 private:
  explicit AdapterStack(const WeightSource& model) : model_(&model) {}
  struct Stacked {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  const WeightSource* model_;
  std::vector<AdapterTarget> targets_;
  std::map<std::string, Stacked, std::less<>> stacked_;
};

}  // namespace strata
