#include "compute/graph/plan/bind.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// The rows of a reference as pointers into the source, and the type they have.
struct SourceRows {
  DType dtype = DType::kF32;
  std::vector<const void*> rows;
};

int64_t columns(const WeightTensor& tensor) { return tensor.shape.empty() ? 1 : tensor.shape.back(); }

SourceRows rows_of(const WeightSource& source, const WeightRef& ref, std::map<std::string, bool>* used) {
  SourceRows out;
  for (const WeightPart& part : ref.parts) {
    const std::optional<WeightTensor> tensor = source.find(part.tensor);
    if (!tensor) check_failed(__FILE__, __LINE__, "bind: no tensor " + part.tensor);
    if (used != nullptr) (*used)[part.tensor] = true;
    out.dtype = tensor->dtype;
    const size_t stride = row_bytes(tensor->dtype, columns(*tensor));
    const size_t offset = part.col_begin == 0 ? 0 : row_bytes(tensor->dtype, part.col_begin);
    CHECK_LE(static_cast<size_t>(part.row_end) * stride, tensor->data.size());
    for (int64_t row = part.row_begin; row < part.row_end; ++row) {
      out.rows.push_back(tensor->data.data() + static_cast<size_t>(row) * stride + offset);
    }
  }
  return out;
}

// One part as fp32, transposed where the reference says so.
void unfold_part(const WeightSource& source, const WeightRef& ref, size_t index, float* out) {
  WeightRef one{{ref.parts[index]}, false, 1};
  const SourceRows source_rows = rows_of(source, one, nullptr);
  const WeightPart& part = ref.parts[index];
  const int64_t n = part.row_end - part.row_begin;
  const int64_t k = part.col_end - part.col_begin;
  std::vector<float> row(static_cast<size_t>(k));
  for (int64_t i = 0; i < n; ++i) {
    dequantize_row(source_rows.dtype, source_rows.rows[static_cast<size_t>(i)], row.data(), k);
    for (int64_t j = 0; j < k; ++j) {
      out[ref.transpose ? j * n + i : i * k + j] = row[static_cast<size_t>(j)] * ref.scale;
    }
  }
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(data != MAP_FAILED);
  if (bytes >= kHugePage) ::madvise(data, bytes, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(data);
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

const AlignedBuffer& WeightBinder::keep(std::string key, AlignedBuffer buffer) {
  bound_bytes_ += buffer.size();
  return bound_[std::move(key)] = std::move(buffer);
}

const float* WeightBinder::dense(const Node& weight) {
  const std::string key = to_string(weight.weight) + " f32";
  if (const auto known = bound_.find(key); known != bound_.end())
    return reinterpret_cast<const float*>(known->second.data());
  size_t elements = 0;
  std::vector<size_t> begin;
  for (const WeightPart& part : weight.weight.parts) {
    begin.push_back(elements);
    elements += static_cast<size_t>(part.row_end - part.row_begin) * static_cast<size_t>(part.col_end - part.col_begin);
    used_[part.tensor] = true;
  }
  AlignedBuffer buffer(elements * sizeof(float));
  auto* out = reinterpret_cast<float*>(buffer.data());
  for (size_t i = 0; i < weight.weight.parts.size(); ++i) unfold_part(source_, weight.weight, i, out + begin[i]);
  return reinterpret_cast<const float*>(keep(key, std::move(buffer)).data());
}

const void* WeightBinder::rows(const Node& weight) {
  CHECK(weight.weight.is_whole_tensor());
  return rows_of(source_, weight.weight, nullptr).rows.at(0);
}

const void* WeightBinder::packed(const Node& weight, const MatmulFamily& family) {
  const std::string key = to_string(weight.weight) + " " + std::string(family.layout);
  if (const auto known = bound_.find(key); known != bound_.end()) return known->second.data();
  const Shape& shape = weight.outputs[0].shape;
  const int64_t k = shape.back().factor;
  const int64_t n = shape[shape.size() - 2].factor;
  const int64_t matrices = shape.size() == 3 ? shape[0].factor : 1;

  AlignedBuffer unfolded;
  SourceRows rows;
  if (weight.weight.transpose || weight.weight.scale != 1) {  // rows do not exist in the source: make them, as fp32
    CHECK_EQ(static_cast<int>(family.weight), static_cast<int>(DType::kF32));
    const float* dense_rows = dense(weight);
    rows.dtype = DType::kF32;
    for (int64_t i = 0; i < n * matrices; ++i) rows.rows.push_back(dense_rows + i * k);
  } else {
    rows = rows_of(source_, weight.weight, &used_);
  }
  CHECK_EQ(static_cast<int64_t>(rows.rows.size()), n * matrices);
  CHECK_EQ(static_cast<int>(rows.dtype), static_cast<int>(family.weight));

  const size_t matrix_bytes = family.packed_bytes(n, k);
  AlignedBuffer buffer(matrix_bytes * static_cast<size_t>(matrices));
  const int64_t groups = (n + kPackRows - 1) / kPackRows;
  pool_.parallel_for(groups * matrices, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t matrix = item / groups;
      const int64_t row = item % groups * kPackRows;
      family.pack(buffer.data() + static_cast<size_t>(matrix) * matrix_bytes, rows.rows.data() + matrix * n, n, k, row,
                  std::min(n, row + kPackRows));
    }
  });
  return keep(key, std::move(buffer)).data();
}

void WeightBinder::release_sources() {
  for (const auto& [name, used] : used_) source_.release(name);
  used_.clear();
}

}  // namespace strata
