// A weight in a graph is a reference, never bytes: which slices of which tensors, one below the other, maybe
// transposed. Sharding, tying, fusing, layer selection and expert stacking rewrite references; bind() reads the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata {

// Rows [row_begin, row_end) and columns [col_begin, col_end) of a tensor seen as a matrix: all dimensions but the last
// are rows. Column borders lie on the quantization blocks of the tensor's type.
struct WeightPart {
  std::string tensor;  // the published (Hugging Face) name
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t col_begin = 0;
  int64_t col_end = 0;
  bool operator==(const WeightPart&) const = default;
};

struct WeightRef {
  std::vector<WeightPart> parts;  // rows follow each other
  bool transpose = false;  // each part is transposed before they are stacked (GPT-2's Conv1D, MLA's key up-projection)
  float scale = 1;
  bool operator==(const WeightRef&) const = default;

  bool is_whole_tensor() const { return parts.size() == 1 && !transpose && scale == 1; }
};

std::string to_string(const WeightRef& ref);  // "a.weight[0:64, 0:32] + b.weight[0:64, 0:32] transposed * 0.5"

}  // namespace strata
