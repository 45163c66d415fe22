// Turns weight references into bytes: packs slices in the layout that a kernel asks for, or unfolds them as fp32. Every
// (reference, layout) is bound once and shared by all plans made with the same binder.
//
// One thread binds; what is bound is immutable afterwards, but for refresh(). The source's pages are released once they were packed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "compute/graph/graph.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

struct WeightTensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // outermost first
  std::span<const std::byte> data;
  // Where the rows are not in `data`: writes rows [begin, end), one after the other. Any thread.
  std::function<void(int64_t begin, int64_t end, std::byte* out)> read = {};
};

// Where the bytes are: a checkpoint, or a table in a test. Must outlive the binder and all plans (embedding tables are
// read from it directly).
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual std::optional<WeightTensor> find(std::string_view name) const = 0;
  virtual void release(std::string_view /*name*/) const {}  // its pages are not needed soon
};

// Bytes, 64-byte aligned, never moved.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Zeroed. Not reserved: memory is taken as it is touched, however much the size asks for.
  explicit AlignedBuffer(size_t bytes, bool reserved = true);
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  ~AlignedBuffer();
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

class WeightBinder {
 public:
  WeightBinder(const WeightSource& source, ThreadPool& pool) : source_(source), pool_(pool) {}

  // The packed form of [n, k], or of [n_experts, n, k] with expert e at e * family.packed_bytes(n, k).
  const void* packed(const Node& weight, const MatmulFamily& family);
  // Contiguous fp32.
  const float* dense(const Node& weight);
  // Rows as the file has them (no copy), where the reference is neighbouring rows of one tensor with all its columns;
  // else null.
  const void* stored_rows(const Node& weight);
  void release_sources();  // after all plans are made
  // Reads everything that was bound from its source again, into the same memory: the plans compute with the source's new
  // numbers. No context of theirs may run meanwhile.
  void refresh();

  size_t bound_bytes() const { return bound_bytes_; }

  // The rows of a reference as pointers, and the type they have.
  struct SourceRows {
    DType dtype = DType::kF32;
    std::vector<const void*> rows;
    // Rows that the source makes only when asked: null above, from `first` on.
    struct Made {
      WeightTensor tensor;
      int64_t first, count, begin, step;  // of rows, of the tensor's rows
      size_t stride, offset;              // bytes of a row, and before its first number that counts
    };
    std::vector<Made> made;
  };

 private:
  // What is bound, to be made again.
  struct Made {
    Node weight;
    const MatmulFamily* family;  // null: fp32
    std::byte* to;
  };
  void pack(const Node& weight, const MatmulFamily& family, std::byte* to);
  void unfold(const Node& weight, std::byte* to);
  SourceRows make_rows(const Node& weight, int64_t n, int64_t k, AlignedBuffer& made) const;
  void mark_used(const WeightRef& ref);
  const AlignedBuffer& keep(std::string key, AlignedBuffer buffer);
  const WeightSource& source_;
  ThreadPool& pool_;
  std::map<std::string, AlignedBuffer> bound_;
  std::vector<Made> made_;
  std::map<std::string, bool> used_;  // source tensors that were copied
  size_t bound_bytes_ = 0;
};

}  // namespace strata
