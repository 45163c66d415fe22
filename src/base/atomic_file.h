// A file that appears at its path whole or not at all: written beside it under a temporary name, renamed by commit().
// A writer that is destroyed without commit() leaves nothing behind. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/status.h"

namespace strata {

class AtomicFile {
 public:
  // kUnavailable with the system's reason when no file can be made there.
  static Result<AtomicFile> create(const std::filesystem::path& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  // Takes the room for so many bytes at once, where the file system can: a disk that is too full says so now.
  Status reserve(uint64_t bytes);
  // Written in pieces of 4 MiB at multiples of 4 MiB, which systems keep in huge pages.
  Status write(std::span<const std::byte> bytes);
  uint64_t position() const { return position_; }  // bytes written so far

  // Everything on disk, then under its name. No write may follow. Not `durable`: a crash of the machine may leave
  // anything under the name; for files that are checked before they are used.
  Status commit(bool durable = true);

 private:
  AtomicFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor);
  Status flush();
  Status write_through(std::span<const std::byte> bytes);
  Status failure(const char* what) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once committed
  int descriptor_ = -1;
  uint64_t position_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace strata
