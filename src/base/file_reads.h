// Reads of one file that go on while the caller computes: past the system's page cache where the file system can
// (O_DIRECT), by io_uring where the system lets us, else by a few threads. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"

namespace strata {

struct FileRead {
  uint64_t offset = 0;  // offset, bytes and the address: multiples of 4096
  size_t bytes = 0;
  std::byte* to = nullptr;
  uint64_t tag = 0;  // given back when it is done
};

class FileReads {
 public:
  enum class Kind { kBest, kUring, kThreads };
  // At most `depth` reads are under way at a time. kUnavailable: the file cannot be opened, or there is no io_uring.
  static Result<std::unique_ptr<FileReads>> open(const std::filesystem::path& path, size_t depth,
                                                 Kind kind = Kind::kBest);
  virtual ~FileReads() = default;  // waits for what is under way

  size_t depth() const { return depth_; }
  size_t under_way() const { return under_way_; }
  // CHECKs that fewer than depth() are under way.
  void start(const FileRead& read);
  struct Done {
    uint64_t tag = 0;
    Status status;  // kUnavailable: could not be read; kDataLoss: the file ends before
  };
  // The next read that is done, in any order. CHECKs that one is under way.
  Done wait();

 protected:
  FileReads(std::filesystem::path path, size_t depth) : path_(std::move(path)), depth_(depth) {}
  virtual void submit(size_t slot) = 0;  // at(slot)
  // The slot that is done, and what the system said: bytes read, or an error's number, negative.
  virtual std::pair<size_t, int64_t> reap() = 0;
  const FileRead& at(size_t slot) const { return slots_[slot]; }

 private:
  std::filesystem::path path_;
  size_t depth_;
  size_t under_way_ = 0;
  std::vector<FileRead> slots_;  // what is left of each read
  std::vector<size_t> free_;
};

}  // namespace strata
