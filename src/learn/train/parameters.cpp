#include "learn/train/parameters.h"

#include "base/check.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {

Parameter& Parameters::add(std::string name, std::vector<int64_t> shape) {
  const bool is_new = index_.emplace(name, static_cast<int>(list_.size())).second;
  CHECK(is_new);
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  list_.push_back({std::move(name), std::move(shape), AlignedBuffer(static_cast<size_t>(count) * sizeof(float))});
  return list_.back();
}

Result<Parameters> Parameters::copy(const Graph& graph, const WeightSource& source) {
  Parameters parameters;
  for (const Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kWeight) continue;
    for (const WeightPart& part : node.weight.parts) {
      if (parameters.index_of(part.tensor) >= 0) continue;
      const std::optional<WeightTensor> tensor = source.find(part.tensor);
      if (!tensor) return invalid_argument("tensor " + part.tensor + " is missing");
      Parameter& to = parameters.add(part.tensor, tensor->shape);
      const int64_t columns = to.columns();
      const auto rows = static_cast<int64_t>(to.values().size()) / columns;
      std::vector<std::byte> made(row_bytes(tensor->dtype, columns));
      for (int64_t row = 0; row < rows; ++row) {
        const std::byte* from = tensor->data.data() + static_cast<size_t>(row) * made.size();
        if (tensor->read) tensor->read(row, row + 1, made.data());
        dequantize_row(tensor->dtype, tensor->read ? made.data() : from, to.values().data() + row * columns, columns);
      }
    }
  }
  return parameters;
}

std::optional<WeightTensor> Parameters::find(std::string_view name) const {
  const int index = index_of(name);
  if (index < 0) return std::nullopt;
  const Parameter& parameter = list_[static_cast<size_t>(index)];
  return WeightTensor{DType::kF32, parameter.shape, {parameter.memory.data(), parameter.memory.size()}};
}

int Parameters::index_of(std::string_view name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? -1 : at->second;
}

int64_t Parameters::count() const {
  int64_t count = 0;
  for (const Parameter& parameter : list_) count += static_cast<int64_t>(parameter.values().size());
  return count;
}

}  // namespace strata
