#include "engine/importance_collector.h"

#include <algorithm>
#include <bit>
#include <map>

#include "compute/graph/matmul_nodes.h"
#include "compute/graph/op.h"
#include "model/format/gguf_conversion.h"

namespace strata {
namespace {

void add_squares(const float* x, int64_t columns, double* sums) {
  for (int64_t i = 0; i < columns; ++i) sums[i] += static_cast<double>(x[i]) * x[i];
}

}  // namespace

Result<ImportanceCollector> ImportanceCollector::make(const Model& model) {
  ASSIGN_OR_RETURN(const GgufConversion conversion, plan_gguf_conversion(model.checkpoint()));
  std::map<std::string_view, std::string_view> gguf_names;  // of the tensors of the checkpoint
  for (const GgufOutputTensor& tensor : conversion.tensors) {
    for (const TensorInfo* source : tensor.sources) gguf_names[source->name] = tensor.name;
  }
  ImportanceCollector collector;
  for (const Node& node : model.graph().nodes()) {
    if (!is_matmul(node)) continue;
    const Node& weight = model.graph().node(node.inputs[1]);
    if (weight.kind != NodeKind::kWeight) continue;
    const auto known = [&](const Matrix& matrix) { return matrix.weight == weight.name; };
    if (std::any_of(collector.matrices_.begin(), collector.matrices_.end(), known)) continue;
    Matrix matrix{.weight = weight.name, .gguf_names = {}, .n_used = 0, .sums = {}};
    const TensorType& type = weight.outputs[0];
    matrix.sums.columns = type.last().factor;
    if (node.op->name == "expert_matmul") matrix.n_used = node.attributes.integer("n_used");
    matrix.sums.counts.resize(matrix.n_used > 0 ? static_cast<size_t>(type.shape[0].factor) : 1);
    matrix.sums.square_sums.resize(matrix.sums.counts.size() * static_cast<size_t>(matrix.sums.columns));
    for (const WeightPart& part : weight.weight.parts) {
      const auto name = gguf_names.find(part.tensor);
      if (name == gguf_names.end()) continue;
      const std::string found(name->second);
      if (std::find(matrix.gguf_names.begin(), matrix.gguf_names.end(), found) == matrix.gguf_names.end())
        matrix.gguf_names.push_back(found);
    }
    collector.matrices_.push_back(std::move(matrix));
  }
  return collector;
}

void ImportanceCollector::add(ModelRunner& runner) {
  for (Matrix& matrix : matrices_) {
    const std::span<const float> x = runner.context().output("input:" + matrix.weight);
    if (matrix.n_used == 0) {
      add_rows(matrix, x);
    } else {
      add_experts(matrix, x, runner.context().output("pairs:" + matrix.weight),
                  runner.context().output("begin:" + matrix.weight));
    }
  }
}

void ImportanceCollector::add_rows(Matrix& matrix, std::span<const float> x) {
  const int64_t columns = matrix.sums.columns, rows = static_cast<int64_t>(x.size()) / columns;
  for (int64_t row = 0; row < rows; ++row)
    add_squares(&x[static_cast<size_t>(row * columns)], columns, matrix.sums.square_sums.data());
  matrix.sums.counts[0] += static_cast<double>(rows);
}

// `pairs` and `begin` are whole numbers in the memory of an output.
void ImportanceCollector::add_experts(Matrix& matrix, std::span<const float> x, std::span<const float> pairs,
                                      std::span<const float> begin) {
  const int64_t columns = matrix.sums.columns, rows = static_cast<int64_t>(x.size()) / columns;
  // x has a row per token, which its n_used pairs share, or a row per pair.
  const int64_t pairs_of_row = rows * matrix.n_used == static_cast<int64_t>(pairs.size()) ? matrix.n_used : 1;
  for (int64_t expert = 0; expert < matrix.sums.matrices(); ++expert) {
    const auto first = std::bit_cast<int32_t>(begin[static_cast<size_t>(expert)]);
    const auto last = std::bit_cast<int32_t>(begin[static_cast<size_t>(expert) + 1]);
    for (int32_t i = first; i < last; ++i) {
      const int64_t row = std::bit_cast<int32_t>(pairs[static_cast<size_t>(i)]) / pairs_of_row;
      add_squares(&x[static_cast<size_t>(row * columns)], columns, matrix.sums.square_sums.data() + expert * columns);
    }
    matrix.sums.counts[static_cast<size_t>(expert)] += last - first;
  }
}

Importance ImportanceCollector::importance() const {
  Importance out;
  for (const Matrix& matrix : matrices_) {
    for (const std::string& name : matrix.gguf_names) {
      ColumnImportance& sums = out.tensors[name];
      if (sums.counts.empty()) {
        sums = matrix.sums;
        continue;
      }
      // Parts of one tensor that several matmuls multiply: what all of them saw.
      if (sums.square_sums.size() != matrix.sums.square_sums.size()) continue;
      for (size_t i = 0; i < sums.square_sums.size(); ++i) sums.square_sums[i] += matrix.sums.square_sums[i];
      for (size_t i = 0; i < sums.counts.size(); ++i) sums.counts[i] += matrix.sums.counts[i];
    }
  }
  return out;
}

}  // namespace strata
