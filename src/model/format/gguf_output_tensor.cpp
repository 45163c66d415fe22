#include "model/format/gguf_output_tensor.h"

#include <cstring>

#include "compute/tensor/quant_blocks.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

// Row `row` of a matrix whose rotary pairs are neighbours, in the one whose pairs are half a head apart.
int64_t unpaired_row(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim;
  return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
}

// Row `row` of (all q, all k, all v), in the matrix that has them group by group: the queries of a group, its key, its
// value.
int64_t grouped_row(int64_t row, int64_t n_rows, const GgufHeadSizes& sizes) {
  const int64_t head_dim = n_rows / (sizes.n_heads + 2 * sizes.n_kv_heads);
  const int64_t per_group = sizes.n_heads / sizes.n_kv_heads;
  const int64_t head = row / head_dim;
  const int64_t in_head = row % head_dim;
  if (head < sizes.n_heads) {
    return ((head / per_group) * (per_group + 2) + head % per_group) * head_dim + in_head;
  }
  const int64_t kv = head - sizes.n_heads;
  const int64_t is_value = kv / sizes.n_kv_heads;
  return ((kv % sizes.n_kv_heads) * (per_group + 2) + per_group + is_value) * head_dim + in_head;
}

int64_t product(std::span<const int64_t> shape) {
  int64_t out = 1;
  for (const int64_t size : shape) out *= size;
  return out;
}

// Whether a layout takes single elements out of stored rows.
bool gathers(GgufLayout layout) {
  return layout == GgufLayout::kTransposed || layout == GgufLayout::kEvenColumns || layout == GgufLayout::kOddColumns ||
         layout == GgufLayout::kKeysTransposed;
}

// Blocks run along the rows of [out, in]: where plain numbers are published transposed, blocks are not.
GgufLayout in_blocks(GgufLayout layout) {
  if (layout == GgufLayout::kEvenColumns) return GgufLayout::kEvenRows;
  if (layout == GgufLayout::kOddColumns) return GgufLayout::kOddRows;
  return layout == GgufLayout::kTransposed ? GgufLayout::kSame : layout;
}

// A source's shape after the layout; empty when it does not fit.
std::vector<int64_t> laid_out(std::vector<int64_t> shape, GgufLayout layout, int64_t heads,
                              const GgufHeadSizes& sizes) {
  const bool matrix = shape.size() >= 2;
  int64_t* rows = matrix ? &shape[shape.size() - 2] : (shape.empty() ? nullptr : &shape[0]);
  if (rows == nullptr) return {};
  const int64_t groups = sizes.n_heads + 2 * sizes.n_kv_heads;
  switch (layout) {
    case GgufLayout::kSame:
    case GgufLayout::kPlusOne:
      return shape;
    case GgufLayout::kRotaryPairs:
      return heads > 0 && *rows % (2 * heads) == 0 ? shape : std::vector<int64_t>{};
    case GgufLayout::kQueriesFirst:
      return groups > 0 && sizes.n_heads % sizes.n_kv_heads == 0 && *rows % groups == 0 ? shape
                                                                                        : std::vector<int64_t>{};
    case GgufLayout::kTransposed:
      if (!matrix) return {};
      std::swap(*rows, shape.back());
      return shape;
    case GgufLayout::kWithoutPadding:
      *rows -= sizes.padding;
      return matrix && *rows > 0 ? shape : std::vector<int64_t>{};
    case GgufLayout::kFirstHalf:
    case GgufLayout::kSecondHalf:
    case GgufLayout::kEvenRows:
    case GgufLayout::kOddRows:
      if (!matrix || *rows % 2 != 0) return {};
      *rows /= 2;
      return shape;
    case GgufLayout::kEvenColumns:
    case GgufLayout::kOddColumns:
      if (!matrix || shape.back() % 2 != 0) return {};
      shape.back() /= 2;
      if (shape.size() > 2) std::swap(*rows, shape.back());
      return shape;
    case GgufLayout::kKeysTransposed:
    case GgufLayout::kValues:
      if (shape.size() != 2 || *rows != sizes.n_heads * (sizes.nope + sizes.v_dim)) return {};
      if (layout == GgufLayout::kValues) return {sizes.n_heads, sizes.v_dim, shape[1]};
      return {sizes.n_heads, shape[1], sizes.nope};
  }
  return {};
}

}  // namespace

Status GgufOutputTensor::set_shape() {
  const TensorInfo& first = *sources.front();
  const std::string where = "tensor " + quoted_name(first.name);
  const bool in_rows = is_quantized(first.type) || first.made != nullptr;  // only whole rows can be read
  if (in_rows) layout = in_blocks(layout);
  if (in_rows && (gathers(layout) || first.shape.size() < 2)) {
    return invalid_argument(where + ": its form in GGUF needs single elements, which " +
                            std::string(strata::name(first.type)) + " does not have");
  }
  shape = laid_out(first.shape, layout, heads, sizes);
  if (shape.empty()) return invalid_argument(where + " has a shape that the configuration's heads do not divide");
  return ok_status();
}

bool GgufOutputTensor::reads_elements() const {
  return shape.size() == 1 && (layout == GgufLayout::kRotaryPairs || layout == GgufLayout::kQueriesFirst);
}

int64_t GgufOutputTensor::n_rows() const { return product(shape) / row_length(); }

bool GgufOutputTensor::copies_rows() const { return factor == 1 && layout != GgufLayout::kPlusOne && !gathers(layout); }

GgufOutputTensor::Place GgufOutputTensor::place(int64_t row) const {
  const int64_t rows_per_source = n_rows() / static_cast<int64_t>(sources.size());
  const TensorInfo& source = *sources[static_cast<size_t>(row / rows_per_source)];
  const int64_t r = row % rows_per_source;
  // Sizes of one of the source's matrices, and of what becomes of it.
  const int64_t columns = reads_elements() ? 1 : source.shape.back();
  const size_t rank = source.shape.size();
  const int64_t rows = rank < 2 ? source.shape[0] / columns : source.shape[rank - 2];
  const int64_t out_rows = shape.size() < 2 ? shape[0] / row_length() : shape[shape.size() - 2];
  const int64_t matrix = r / out_rows;
  const int64_t in_matrix = r % out_rows;
  const auto stored = [&](int64_t stored_row) { return Place{&source, (matrix * rows + stored_row) * columns, 1}; };
  const int64_t odd = layout == GgufLayout::kOddColumns || layout == GgufLayout::kOddRows ? 1 : 0;
  switch (layout) {
    case GgufLayout::kSame:
    case GgufLayout::kPlusOne:
      return {&source, r * columns, 1};
    case GgufLayout::kRotaryPairs:
      return stored(unpaired_row(in_matrix, rows / heads));
    case GgufLayout::kQueriesFirst:
      return stored(grouped_row(in_matrix, rows, sizes));
    case GgufLayout::kWithoutPadding:
      return stored(in_matrix + sizes.padding);
    case GgufLayout::kFirstHalf:
      return stored(in_matrix);
    case GgufLayout::kSecondHalf:
      return stored(in_matrix + rows / 2);
    case GgufLayout::kEvenRows:
    case GgufLayout::kOddRows:
      return stored(2 * in_matrix + odd);
    case GgufLayout::kTransposed:
      return {&source, matrix * rows * columns + in_matrix, columns};
    case GgufLayout::kEvenColumns:
    case GgufLayout::kOddColumns:
      if (rank == 2) return {&source, r * columns + odd, 2};
      return {&source, matrix * rows * columns + 2 * in_matrix + odd, columns};
    case GgufLayout::kKeysTransposed:
      return {&source, matrix * (sizes.nope + sizes.v_dim) * columns + in_matrix, columns};
    case GgufLayout::kValues:
      return {&source, (matrix * (sizes.nope + sizes.v_dim) + sizes.nope + in_matrix) * columns, 1};
  }
  return {&source, r * columns, 1};
}

std::span<const std::byte> GgufOutputTensor::source_row(int64_t row, std::vector<std::byte>& buffer) const {
  if (sources.empty()) return std::as_bytes(std::span(values)).subspan(static_cast<size_t>(row * row_length()) * 4);
  const Place at = place(row);
  if (at.source->made != nullptr) {
    const int64_t stored = at.element / row_length();
    return at.source->rows(stored, stored + 1, buffer);
  }
  return at.source->data.subspan(row_bytes(at.source->type, at.element), row_bytes(at.source->type, row_length()));
}

void GgufOutputTensor::read_row(int64_t row, float* out, std::vector<std::byte>& buffer) const {
  const int64_t n = row_length();
  if (sources.empty()) {
    std::memcpy(out, source_row(row, buffer).data(), static_cast<size_t>(n) * sizeof(float));
    return;
  }
  const Place at = place(row);
  const DType type = at.source->type;
  if (at.step == 1) {
    dequantize_row(type, source_row(row, buffer).data(), out, n);
  } else {
    const size_t bytes = row_bytes(type, 1);
    for (int64_t i = 0; i < n; ++i) {
      dequantize_row(type, at.source->data.data() + static_cast<size_t>(at.element + i * at.step) * bytes, out + i, 1);
    }
  }
  if (layout == GgufLayout::kPlusOne) {
    for (int64_t i = 0; i < n; ++i) out[i] += 1.0f;
  }
  if (factor != 1) {
    for (int64_t i = 0; i < n; ++i) out[i] *= static_cast<float>(factor);
  }
}

void GgufOutputTensor::write_back(int64_t row, const float* numbers,
                                  const std::function<float*(const TensorInfo&)>& of) const {
  const Place at = place(row);
  float* to = of(*at.source) + at.element;
  const float one = layout == GgufLayout::kPlusOne ? 1.0f : 0.0f, scale = static_cast<float>(factor);
  for (int64_t i = 0; i < row_length(); ++i) to[i * at.step] = numbers[i] / scale - one;
}

}  // namespace strata
