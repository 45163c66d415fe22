// A weight in a graph is a reference, never bytes: which slices of which tensors, one below the other, maybe
// transposed. Sharding, tying, fusing, layer selection and expert stacking rewrite references; bind() reads the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

// Rows [row_begin, row_end) and columns [col_begin, col_end) of a tensor seen as a matrix: all dimensions but the last
// are rows. Of a fused tensor whose parts alternate, every row_step-th row or col_step-th column. Column borders of a
// part that is not transposed lie on the quantization blocks of the tensor's type; only plain numbers have col_step.
struct WeightPart {
  std::string tensor;  // the published (Hugging Face) name
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t col_begin = 0;
  int64_t col_end = 0;
  int64_t row_step = 1;
  int64_t col_step = 1;
  bool operator==(const WeightPart&) const = default;

  int64_t n_rows() const { return (row_end - row_begin + row_step - 1) / row_step; }
  int64_t n_cols() const { return (col_end - col_begin + col_step - 1) / col_step; }
};

struct WeightRef {
  std::vector<WeightPart> parts;  // rows follow each other (of a vector: numbers follow each other)
  bool transpose = false;  // each part is transposed before they are stacked (GPT-2's Conv1D, MLA's key up-projection)
  float scale = 1;
  bool operator==(const WeightRef&) const = default;

};

// "a.weight[0:64, 0:32] + b.weight[0:64:2, 0:32] transposed * 0.5"; a third number is the step.
std::string to_string(const WeightRef& ref);

}  // namespace strata
