// Packed weights in a file, as bind made them: written once, mapped at later starts, shared by all processes that do,
// and what is streamed when a model is bigger than memory. Weights lie in the order of the plan, each at a multiple of
// 4096 bytes; behind them a directory and a footer:
//
//   directory   per weight: key (16 bytes), offset (8), bytes (8); then per piece its hash (16)
//   footer      magic (8), version (4), byte order (4), identity (16), directory's offset, weights, pieces (8 each),
//               hash of directory and footer (16)
//
// A piece is 2 MiB of a weight, or its rest. The hashes find every flipped byte; whoever opens a file asks verify()
// once or compares what it reads with the pieces' hashes. The identity says what the file was made of
// (engine/packed_cache.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/atomic_file.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "base/status.h"
#include "base/thread_pool.h"

namespace strata {

// Changes with the format, and with whatever bind makes of the same bytes under the same layout's name.
inline constexpr uint32_t kPackedFileVersion = 1;
inline constexpr size_t kPackedAlignment = 4096;
inline constexpr size_t kPackedPiece = size_t{2} << 20;

struct PackedPiece {
  uint64_t offset = 0;  // in the file
  uint64_t bytes = 0;
  Hash128 hash;
};

struct PackedEntry {
  Hash128 key;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::span<const PackedPiece> pieces;
};

class PackedFile {
 public:
  // kNotFound: no such file. kDataLoss: not a whole file of this version, or one of another identity. The weights'
  // bytes are not looked at.
  static Result<PackedFile> open(const std::filesystem::path& path, const Hash128& identity);

  // kDataLoss when a weight's bytes are not those that were written. Reads everything; unless `keep`, what was looked
  // at takes no memory of the process any more.
  Status verify(ThreadPool& pool, bool keep = true) const;

  const std::vector<PackedEntry>& entries() const { return entries_; }
  const PackedEntry* find(const Hash128& key) const;  // nullptr when absent
  const std::byte* data(const PackedEntry& entry) const { return file_.bytes().data() + entry.offset; }
  void copy(const PackedEntry& entry, std::byte* to) const;  // and lets go of the mapped pages
  const std::filesystem::path& path() const { return path_; }

 private:
  PackedFile(std::filesystem::path path, MappedFile file) : path_(std::move(path)), file_(std::move(file)) {}
  Status read_directory(const Hash128& identity);
  Status damaged(const char* what) const;

  std::filesystem::path path_;
  MappedFile file_;
  std::vector<PackedPiece> pieces_;  // never resized once entries point into it
  std::vector<PackedEntry> entries_;
  std::unordered_map<Hash128, size_t> index_;
};

class PackedFileWriter {
 public:
  // `bytes`: of all weights, so that a full disk is noticed at once.
  static Result<PackedFileWriter> create(const std::filesystem::path& path, const Hash128& identity, uint64_t bytes);
  Status add(const Hash128& key, std::span<const std::byte> bytes);
  Status finish();  // the file appears

 private:
  PackedFileWriter(AtomicFile file, const Hash128& identity) : file_(std::move(file)), identity_(identity) {}
  AtomicFile file_;
  Hash128 identity_;
  std::vector<uint64_t> entries_;  // as in the directory
  std::vector<Hash128> hashes_;
};

}  // namespace strata
