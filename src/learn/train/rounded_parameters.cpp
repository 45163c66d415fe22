#include "learn/train/rounded_parameters.h"

#include "compute/graph/passes/in_bfloat16.h"

namespace strata {

void RoundedParameters::keep(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    for (const WeightPart& part : node.weight.parts) {
      const int index = parameters_.index_of(tensor_of_rounded(part.tensor));
      if (index < 0) continue;
      const auto i = static_cast<size_t>(index);
      if (copies_[i].size() > 0) continue;
      copies_[i] = AlignedBuffer(parameters_.all()[i].values().size() * sizeof(uint16_t));
      round(i, 0, parameters_.all()[i].values().size());
    }
  }
}

void RoundedParameters::round(size_t parameter, size_t begin, size_t size) {
  if (copies_[parameter].size() == 0) return;
  auto* to = reinterpret_cast<uint16_t*>(copies_[parameter].data()) + begin;
  kernels_.to_activation(DType::kActBF16, to, parameters_.all()[parameter].values().data() + begin, 1,
                         static_cast<int64_t>(size));
}

void RoundedParameters::round_all() {
  for (size_t i = 0; i < copies_.size(); ++i) round(i, 0, parameters_.all()[i].values().size());
}

bool RoundedParameters::is_rows(const WeightRef& ref) const {
  if (ref.parts.size() != 1 || ref.transpose || ref.scale != 1) return false;
  const WeightPart& part = ref.parts[0];
  const int index = parameters_.index_of(part.tensor);
  if (index < 0 || part.row_step != 1 || part.col_step != 1) return false;
  return part.n_cols() == parameters_.all()[static_cast<size_t>(index)].columns();
}

size_t RoundedParameters::bytes() const {
  size_t bytes = 0;
  for (const AlignedBuffer& copy : copies_) bytes += copy.size();
  return bytes;
}

int RoundedParameters::index_of_copy(std::string_view name) const {
  const int index = parameters_.index_of(tensor_of_rounded(name));
  return index >= 0 && copies_[static_cast<size_t>(index)].size() > 0 ? index : -1;
}

std::optional<WeightTensor> RoundedParameters::find(std::string_view name) const {
  const int i = index_of_copy(name);
  if (i < 0) return weights_.find(name);
  const AlignedBuffer& copy = copies_[static_cast<size_t>(i)];
  return WeightTensor{DType::kBF16, parameters_.all()[static_cast<size_t>(i)].shape, {copy.data(), copy.size()}};
}

}  // namespace strata
