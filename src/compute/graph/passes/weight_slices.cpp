#include "compute/graph/passes/weight_slices.h"

#include <algorithm>

namespace strata {
namespace {

int64_t logical_rows(const WeightRef& ref) {
  int64_t rows = 0;
  for (const WeightPart& part : ref.parts) rows += ref.transpose ? part.n_cols() : part.n_rows();
  return rows;
}

// [begin, end) of a part's rows, of its columns.
WeightPart rows_of(WeightPart part, int64_t begin, int64_t end) {
  part.row_end = std::min(part.row_end, part.row_begin + end * part.row_step);
  part.row_begin += begin * part.row_step;
  return part;
}
WeightPart columns_of(WeightPart part, int64_t begin, int64_t end) {
  part.col_end = std::min(part.col_end, part.col_begin + end * part.col_step);
  part.col_begin += begin * part.col_step;
  return part;
}

// [begin, end) of all rows (columns) of the parts, which follow each other.
void append(const WeightRef& from, bool columns, int64_t begin, int64_t end, WeightRef& to) {
  int64_t at = 0;
  for (const WeightPart& part : from.parts) {
    const int64_t n = columns ? part.n_cols() : part.n_rows();
    const int64_t lo = std::max(begin - at, int64_t{0});
    const int64_t hi = std::min(end - at, n);
    if (lo < hi) to.parts.push_back(columns ? columns_of(part, lo, hi) : rows_of(part, lo, hi));
    at += n;
  }
}

}  // namespace

Value add_row_slice(Graph& graph, const Node& weight, const WeightSlice& slice, bool stack_of_heads) {
  TensorType type = weight.outputs[0];
  const size_t axis = type.shape.size() == 3 && !stack_of_heads ? 1 : 0;
  const int64_t n = axis == 1 ? type.shape[1].factor : logical_rows(weight.weight);
  const int64_t per = n / type.shape[axis].factor;  // rows of the reference per step along the axis
  WeightRef ref = weight.weight;
  ref.parts.clear();
  for (int64_t base = 0; base < logical_rows(weight.weight); base += n)
    append(weight.weight, weight.weight.transpose, base + slice.begin * per, base + slice.end * per, ref);
  type.shape[axis] = slice.end - slice.begin;
  return graph.add_weight(weight.name + slice.suffix, type, std::move(ref));
}

Value add_column_slice(Graph& graph, const Node& weight, const WeightSlice& slice) {
  TensorType type = weight.outputs[0];
  WeightRef ref = weight.weight;
  ref.parts.clear();
  if (type.shape.size() == 1) {  // the numbers of a vector follow each other over its parts
    append(weight.weight, true, slice.begin, slice.end, ref);
  } else {
    for (const WeightPart& part : weight.weight.parts) {
      ref.parts.push_back(ref.transpose ? rows_of(part, slice.begin, slice.end)
                                        : columns_of(part, slice.begin, slice.end));
    }
  }
  type.shape.back() = slice.end - slice.begin;
  return graph.add_weight(weight.name + slice.suffix, type, std::move(ref));
}

}  // namespace strata
