// Measures which columns of a model's matrices matter (model/format/importance.h): sums the squares of what they are
// multiplied with, over the steps of a runner whose options keep matmul inputs.
#pragma once

#include <string>
#include <vector>

#include "engine/model_runner.h"
#include "model/format/importance.h"
#include "model/model.h"

namespace strata {

class ImportanceCollector {
 public:
  // kInvalidArgument: a tensor that GGUF has no name for. The model outlives the collector.
  static Result<ImportanceCollector> make(const Model& model);

  // Adds the runner's last step.
  void add(ModelRunner& runner);
  // By GGUF names, without texts and chunks.
  Importance importance() const;

 private:
  // One weight of the graph and the tensors whose rows it is made of.
  struct Matrix {
    std::string weight;
    std::vector<std::string> gguf_names;
    int64_t n_used = 0;  // experts of a token; 0: no experts
    ColumnImportance sums;
  };
  static void add_rows(Matrix& matrix, std::span<const float> x);
  static void add_experts(Matrix& matrix, std::span<const float> x, std::span<const float> pairs,
                          std::span<const float> begin);

  std::vector<Matrix> matrices_;
};

}  // namespace strata
