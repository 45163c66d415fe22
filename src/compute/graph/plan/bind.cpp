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

using SourceRows = WeightBinder::SourceRows;

int64_t columns(const WeightTensor& tensor) { return tensor.shape.empty() ? 1 : tensor.shape.back(); }

WeightTensor require(const WeightSource& source, const std::string& name) {
  const std::optional<WeightTensor> tensor = source.find(name);
  if (!tensor) check_failed(__FILE__, __LINE__, "bind: no tensor " + name);
  return *tensor;
}

// The first number of a row of the tensor.
const std::byte* row_at(const WeightTensor& tensor, int64_t row) {
  const size_t stride = row_bytes(tensor.dtype, columns(tensor));
  CHECK_LE(static_cast<size_t>(row + 1) * stride, tensor.data.size());
  return tensor.data.data() + static_cast<size_t>(row) * stride;
}

SourceRows rows_of(const WeightSource& source, const WeightRef& ref) {
  SourceRows out;
  for (const WeightPart& part : ref.parts) {
    const WeightTensor tensor = require(source, part.tensor);
    out.dtype = tensor.dtype;
    const size_t offset = part.col_begin == 0 ? 0 : row_bytes(tensor.dtype, part.col_begin);
    if (tensor.read) {
      out.made.push_back({tensor, static_cast<int64_t>(out.rows.size()), part.n_rows(), part.row_begin, part.row_step,
                          row_bytes(tensor.dtype, columns(tensor)), offset});
      out.rows.resize(out.rows.size() + static_cast<size_t>(part.n_rows()), nullptr);
      continue;
    }
    for (int64_t row = part.row_begin; row < part.row_end; row += part.row_step) {
      out.rows.push_back(row_at(tensor, row) + offset);
    }
  }
  return out;
}

// Makes those of rows [begin, end) that the source does not have. They are valid as long as `buffer` is.
void make_missing(SourceRows& rows, int64_t begin, int64_t end, std::vector<std::byte>& buffer) {
  size_t bytes = 0;
  for (const SourceRows::Made& made : rows.made)
    bytes += static_cast<size_t>(std::min(end - begin, made.count)) * made.stride;
  buffer.resize(std::max(buffer.size(), bytes));
  std::byte* out = buffer.data();
  for (const SourceRows::Made& made : rows.made) {
    const int64_t from = std::max(begin, made.first), to = std::min(end, made.first + made.count);
    if (from >= to) continue;
    const int64_t row = made.begin + (from - made.first) * made.step;
    if (made.step == 1) made.tensor.read(row, row + to - from, out);
    for (int64_t i = from; i < to; ++i, out += made.stride) {
      const int64_t one = row + (i - from) * made.step;
      if (made.step != 1) made.tensor.read(one, one + 1, out);
      rows.rows[static_cast<size_t>(i)] = out + made.offset;
    }
  }
}

// The row of a tensor, made into `buffer` where the source does not have it.
const std::byte* any_row(const WeightTensor& tensor, int64_t row, std::vector<std::byte>& buffer) {
  if (!tensor.read) return row_at(tensor, row);
  buffer.resize(row_bytes(tensor.dtype, columns(tensor)));
  tensor.read(row, row + 1, buffer.data());
  return buffer.data();
}

// Rows of the reference may be pointers into the source.
bool has_rows_in_source(const WeightRef& ref) {
  return !ref.transpose && ref.scale == 1 &&
         std::all_of(ref.parts.begin(), ref.parts.end(), [](const WeightPart& part) { return part.col_step == 1; });
}

size_t count_numbers(const WeightPart& part) {
  return static_cast<size_t>(part.n_rows()) * static_cast<size_t>(part.n_cols());
}

// What a packed layout holds: `count` matrices [n, k].
struct Matrices {
  int64_t n, k, count;
};
Matrices matrices_of(const Node& weight) {
  const Shape& shape = weight.outputs[0].shape;
  return {shape[shape.size() - 2].factor, shape.back().factor, shape.size() == 3 ? shape[0].factor : 1};
}

// One part as fp32, transposed where the reference says so.
void unfold_part(const WeightSource& source, const WeightRef& ref, const WeightPart& part, float* out) {
  const WeightTensor tensor = require(source, part.tensor);
  const int64_t n = part.n_rows();
  const int64_t k = part.n_cols();
  std::vector<float> row(static_cast<size_t>(columns(tensor)));
  std::vector<std::byte> made;
  for (int64_t i = 0; i < n; ++i) {
    dequantize_row(tensor.dtype, any_row(tensor, part.row_begin + i * part.row_step, made), row.data(),
                   columns(tensor));
    for (int64_t j = 0; j < k; ++j) {
      const float value = row[static_cast<size_t>(part.col_begin + j * part.col_step)];
      out[ref.transpose ? j * n + i : i * k + j] = value * ref.scale;
    }
  }
}

// The same for plain numbers of `size` bytes, as they are: what a packed layout of their own type wants.
void copy_part(const WeightSource& source, const WeightRef& ref, const WeightPart& part, size_t size, std::byte* out) {
  const WeightTensor tensor = require(source, part.tensor);
  const int64_t n = part.n_rows();
  const int64_t k = part.n_cols();
  std::vector<std::byte> made;
  for (int64_t i = 0; i < n; ++i) {
    const std::byte* row = any_row(tensor, part.row_begin + i * part.row_step, made);
    for (int64_t j = 0; j < k; ++j) {
      const auto to = static_cast<size_t>(ref.transpose ? j * n + i : i * k + j);
      std::memcpy(out + to * size, row + static_cast<size_t>(part.col_begin + j * part.col_step) * size, size);
    }
  }
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes, bool reserved) : size_(bytes) {
  if (bytes == 0) return;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (reserved ? 0 : MAP_NORESERVE);
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
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

std::string BoundWeight::name() const {
  return to_string(node.weight) + " " + (family == nullptr ? "f32" : std::string(family->layout));
}

Hash128 BoundWeight::key() const {
  const std::string text = name();
  return hash_bytes(std::as_bytes(std::span(text)));
}

size_t BoundWeight::bytes() const {
  if (family != nullptr) {
    const Matrices m = matrices_of(node);
    return family->packed_bytes(m.n, m.k) * static_cast<size_t>(m.count);
  }
  size_t numbers = 0;
  for (const WeightPart& part : node.weight.parts) numbers += count_numbers(part);
  return numbers * sizeof(float);
}

const std::byte* WeightBinder::bind(const BoundWeight& weight) {
  const auto [at, is_new] = bound_.emplace(weight.name(), nullptr);
  if (!is_new) return at->second;
  const size_t bytes = weight.bytes();
  bound_bytes_ += bytes;
  const PackedEntry* stored = file_ == nullptr ? nullptr : file_->find(weight.key());
  const bool is_stored = stored != nullptr && stored->bytes == bytes;
  if (is_stored && file_use_ == FileUse::kMap) return at->second = file_->data(*stored);
  made_.push_back({weight, AlignedBuffer(bytes)});
  if (is_stored) {
    file_->copy(*stored, made_.back().buffer.data());
  } else {
    packed_bytes_ += bytes;
    make(weight, made_.back().buffer.data());
  }
  return at->second = made_.back().buffer.data();
}

void WeightBinder::refresh() {
  CHECK(file_ == nullptr);
  for (const Made& made : made_) {
    const auto& parts = made.weight.node.weight.parts;
    const bool changes =
        std::any_of(parts.begin(), parts.end(), [&](const WeightPart& part) { return source_.changes(part.tensor); });
    if (changes) make(made.weight, made.buffer.data());
  }
}

void WeightBinder::use(std::shared_ptr<const PackedFile> file, FileUse how) {
  file_ = std::move(file);
  file_use_ = how;
}

const PackedEntry& WeightBinder::streamed(const Node& weight, const MatmulFamily& family) const {
  const BoundWeight bound{weight, &family};
  const PackedEntry* stored = file_ == nullptr ? nullptr : file_->find(bound.key());
  CHECK(stored != nullptr && stored->bytes == bound.bytes());
  return *stored;
}

const void* WeightBinder::packed(const Node& weight, const MatmulFamily& family) { return bind({weight, &family}); }

const float* WeightBinder::dense(const Node& weight) { return reinterpret_cast<const float*>(bind({weight, nullptr})); }

void WeightBinder::make(const BoundWeight& weight, std::byte* out) {
  for (const WeightPart& part : weight.node.weight.parts) used_.insert(part.tensor);
  if (weight.family != nullptr) return pack(weight.node, *weight.family, out);
  auto* numbers = reinterpret_cast<float*>(out);
  for (const WeightPart& part : weight.node.weight.parts) {
    unfold_part(source_, weight.node.weight, part, numbers);
    numbers += count_numbers(part);
  }
}

Status WeightBinder::write(std::span<const BoundWeight> weights, PackedFileWriter& file) {
  size_t largest = 0;
  for (const BoundWeight& weight : weights) largest = std::max(largest, weight.bytes());
  const AlignedBuffer buffer(largest);
  for (const BoundWeight& weight : weights) {
    std::memset(buffer.data(), 0, weight.bytes());
    make(weight, buffer.data());
    RETURN_IF_ERROR(file.add(weight.key(), {buffer.data(), weight.bytes()}));
    release_sources();
  }
  return ok_status();
}

const void* WeightBinder::stored_rows(const Node& weight) {
  if (weight.weight.parts.size() != 1 || !has_rows_in_source(weight.weight)) return nullptr;
  const WeightPart& part = weight.weight.parts[0];
  const WeightTensor tensor = require(source_, part.tensor);
  if (part.row_step != 1 || part.n_cols() != columns(tensor) || tensor.read) return nullptr;
  return row_at(tensor, part.row_begin);
}

void WeightBinder::pack(const Node& weight, const MatmulFamily& family, std::byte* out) {
  const auto [n, k, matrices] = matrices_of(weight);
  AlignedBuffer made;
  SourceRows rows =
      has_rows_in_source(weight.weight) ? rows_of(source_, weight.weight) : make_rows(weight, n * matrices, k, made);
  CHECK_EQ(static_cast<int64_t>(rows.rows.size()), n * matrices);
  CHECK_EQ(static_cast<int>(rows.dtype), static_cast<int>(family.weight));

  const size_t matrix_bytes = family.packed_bytes(n, k);
  const int64_t groups = (n + kPackRows - 1) / kPackRows;
  pool_.parallel_for(groups * matrices, 1, [&, n = n, k = k](int64_t begin, int64_t end, int) {
    std::vector<std::byte> made_here;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t matrix = item / groups;
      const int64_t row = item % groups * kPackRows;
      if (!rows.made.empty()) {
        make_missing(rows, matrix * n + row, matrix * n + std::min(n, row + kPackRows), made_here);
      }
      family.pack(out + static_cast<size_t>(matrix) * matrix_bytes, rows.rows.data() + matrix * n, n, k, row,
                  std::min(n, row + kPackRows));
    }
  });
}

// Rows that do not exist in the source: in the weight's own type, which is a plain one.
WeightBinder::SourceRows WeightBinder::make_rows(const Node& weight, int64_t n, int64_t k, AlignedBuffer& made) const {
  SourceRows rows;
  rows.dtype = weight.outputs[0].dtype;
  CHECK(!is_quantized(rows.dtype));
  const size_t size = row_bytes(rows.dtype, 1);
  made = AlignedBuffer(static_cast<size_t>(n * k) * size);
  size_t at = 0;
  for (const WeightPart& part : weight.weight.parts) {
    const bool as_stored = require(source_, part.tensor).dtype == rows.dtype && weight.weight.scale == 1;
    if (as_stored) {
      copy_part(source_, weight.weight, part, size, made.data() + at * size);
    } else {
      CHECK_EQ(static_cast<int>(rows.dtype), static_cast<int>(DType::kF32));
      unfold_part(source_, weight.weight, part, reinterpret_cast<float*>(made.data()) + at);
    }
    at += count_numbers(part);
  }
  for (int64_t i = 0; i < n; ++i) rows.rows.push_back(made.data() + static_cast<size_t>(i * k) * size);
  return rows;
}

void WeightBinder::release_sources() {
  for (const std::string& name : used_) source_.release(name);
  used_.clear();
}

}  // namespace strata
