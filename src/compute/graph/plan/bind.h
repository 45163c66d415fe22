// Turns weight references into bytes: packs slices in the layout that a kernel asks for, or unfolds them as fp32. Every
// (reference, layout) is bound once and shared by all plans made with the same binder. What a file of packed weights
// (packed_file.h) has is not packed but mapped.
//
// One thread binds; what is bound is immutable afterwards, but for refresh(). The source's pages are released once they
// were packed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "compute/graph/graph.h"
#include "compute/graph/plan/packed_file.h"
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
  // Its numbers may be others at the next refresh().
  virtual bool changes(std::string_view /*name*/) const { return false; }
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

// A weight in the form that a step takes it in.
struct BoundWeight {
  Node node;                             // kWeight
  const MatmulFamily* family = nullptr;  // packed in its layout; null: contiguous fp32

  std::string name() const;  // reference and layout: what it is bound under
  Hash128 key() const;       // the same in a file of packed weights
  size_t bytes() const;
};

class WeightBinder {
 public:
  WeightBinder(const WeightSource& source, ThreadPool& pool) : source_(source), pool_(pool) {}

  // Weights bound from now on are taken from this file where it has them: mapped, or copied into memory of their own so
  // that the rest of the file takes none. Checked by the caller.
  enum class FileUse : uint8_t { kMap, kCopy };
  void use(std::shared_ptr<const PackedFile> file, FileUse how = FileUse::kMap);
  const std::shared_ptr<const PackedFile>& file() const { return file_; }

  // The packed form of [n, k], or of [n_experts, n, k] with expert e at e * family.packed_bytes(n, k).
  const void* packed(const Node& weight, const MatmulFamily& family);
  // The same in the file: a streamed weight, which is never bound. CHECKs that the file has it.
  const PackedEntry& streamed(const Node& weight, const MatmulFamily& family) const;
  // Contiguous fp32.
  const float* dense(const Node& weight);
  // Rows as the file has them (no copy), where the reference is neighbouring rows of one tensor with all its columns;
  // else null.
  const void* stored_rows(const Node& weight);
  void release_sources();  // after all plans are made

  // Reads what was bound from tensors that change again, into the same memory: the plans compute with the source's new
  // numbers. No context of theirs may run meanwhile. CHECKs that no file of packed weights is used.
  void refresh();

  // Adds these weights to a file, one after the other, without binding them.
  Status write(std::span<const BoundWeight> weights, PackedFileWriter& file);

  size_t bound_bytes() const { return bound_bytes_; }
  size_t packed_bytes() const { return packed_bytes_; }  // of bound_bytes(): not from a file

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
  // What was bound from the source, to be made again.
  struct Made {
    BoundWeight weight;
    AlignedBuffer buffer;
  };
  SourceRows make_rows(const Node& weight, int64_t n, int64_t k, AlignedBuffer& made) const;
  const std::byte* bind(const BoundWeight& weight);
  void make(const BoundWeight& weight, std::byte* out);  // into zeros
  void pack(const Node& weight, const MatmulFamily& family, std::byte* out);
  const WeightSource& source_;
  ThreadPool& pool_;
  std::shared_ptr<const PackedFile> file_;
  FileUse file_use_ = FileUse::kMap;
  std::map<std::string, const std::byte*> bound_;
  std::vector<Made> made_;
  std::set<std::string> used_;  // source tensors that were copied
  size_t bound_bytes_ = 0;
  size_t packed_bytes_ = 0;
};

}  // namespace strata
