// A file mapped read-only into memory. Movable, unmaps when destroyed; the bytes may be read from any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/status.h"

namespace strata {

class MappedFile {
 public:
  // kNotFound when there is no such file, kUnavailable when it cannot be read or mapped. An empty file has no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Tells the system that the pages of this range are not needed soon (after the weights in it were packed).
  void release(size_t offset, size_t length) const;

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace strata
