// A file mapped read-only into memory. Movable, unmaps when destroyed; the bytes may be read from any thread.
//
// Byte 0 lies at a multiple of a huge page (2 MiB), so that a file which the system keeps in huge pages is mapped by
// them: no faults to speak of, and reads as fast as from anonymous memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

#include "base/status.h"

namespace strata {

// What tells a file from another, or from itself before it was changed, without reading it.
struct FileFacts {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t modified_ns = 0;  // contents
  int64_t changed_ns = 0;   // contents, name, rights, owner: no program can set it
  bool operator==(const FileFacts&) const = default;
};

class MappedFile {
 public:
  // kNotFound when there is no such file, kUnavailable when it cannot be read or mapped. An empty file has no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const FileFacts& facts() const { return facts_; }  // when it was opened
  bool is_unchanged() const;                         // the file at its path still has these facts

  // Tells the system that the pages of this range are not needed soon (after the weights in it were packed).
  void release(size_t offset, size_t length) const;

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, const FileFacts& facts)
      : path_(std::move(path)), data_(data), size_(static_cast<size_t>(facts.size)), facts_(facts) {}
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  FileFacts facts_;
};

}  // namespace strata
