#include "model/adapter_stack.h"

#include <algorithm>

#include "compute/tensor/quant_blocks.h"

namespace strata {
namespace {

// Row i of a tensor as fp32.
void read_row(const TensorInfo& tensor, int64_t row, float* out) {
  const int64_t k = tensor.shape.back();
  dequantize_row(tensor.type, tensor.data.data() + static_cast<size_t>(row) * row_bytes(tensor.type, k), out, k);
}

}  // namespace

Result<AdapterStack> AdapterStack::make(const WeightSource& model, const std::vector<const LoraAdapter*>& adapters) {
  AdapterStack stack(model);
  std::map<std::string, int64_t> ranks;                        // the largest of each weight
  std::map<std::string, std::pair<int64_t, int64_t>> shapes;  // outputs and inputs
  for (const LoraAdapter* adapter : adapters) {
    for (const auto& [weight, pair] : adapter->pairs()) {
      const std::optional<WeightTensor> base = model.find(weight);
      if (!base) return invalid_argument("adapter: the model has no weight " + weight);
      const int64_t n = pair.b.shape[0], k = pair.a.shape[1];
      const bool transposed = base->shape == std::vector<int64_t>{k, n};  // as GPT-2 stores its matrices
      if (base->shape != std::vector<int64_t>{n, k} && !transposed) {
        return invalid_argument("adapter: " + weight + " has another shape in the model");
      }
      const auto [known, first] = shapes.emplace(weight, std::pair(n, k));
      if (known->second != std::pair(n, k))
        return invalid_argument("adapter: " + weight + " has other shapes in two adapters");
      ranks[weight] = std::max(ranks[weight], pair.a.shape[0]);
    }
  }
  const auto slots = static_cast<int64_t>(adapters.size());
  for (const auto& [weight, rank] : ranks) {
    const auto [n, k] = shapes[weight];
    Stacked a{{slots, rank, k}, std::vector<float>(static_cast<size_t>(slots * rank * k))};
    Stacked b{{slots, n, rank}, std::vector<float>(static_cast<size_t>(slots * n * rank))};
    for (int64_t slot = 0; slot < slots; ++slot) {
      const LoraAdapter::Pair* pair = adapters[static_cast<size_t>(slot)]->find(weight);
      if (pair == nullptr) continue;
      for (int64_t r = 0; r < pair->a.shape[0]; ++r) read_row(pair->a, r, a.values.data() + (slot * rank + r) * k);
      for (int64_t i = 0; i < n; ++i) {
        float* row = b.values.data() + (slot * n + i) * rank;
        read_row(pair->b, i, row);
        for (int64_t r = 0; r < pair->b.shape[1]; ++r) row[r] *= pair->scale;
      }
    }
    stack.targets_.push_back({weight, rank, n, k});
    stack.stacked_.emplace("lora_a." + weight, std::move(a));
    stack.stacked_.emplace("lora_b." + weight, std::move(b));
  }
  return stack;
}

std::optional<WeightTensor> AdapterStack::find(std::string_view name) const {
  const auto at = stacked_.find(name);
  if (at == stacked_.end()) return model_->find(name);
  return WeightTensor{DType::kF32, at->second.shape, std::as_bytes(std::span(at->second.values))};
}

}  // namespace strata
