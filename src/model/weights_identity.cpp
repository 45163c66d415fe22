#include "model/weights_identity.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/mapped_file.h"

namespace strata {
namespace {

constexpr size_t kPiece = size_t{4} << 20;
constexpr int64_t kSettled = 2'000'000'000;  // ns; file systems round times to as much

Hash128 hash_text(std::string_view text) { return hash_bytes(std::as_bytes(std::span(text))); }

Hash128 hash_config(const Checkpoint& checkpoint) {
  return hash_text(checkpoint.config().json().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Hash128 hash_all(const std::vector<Hash128>& hashes) { return hash_bytes(std::as_bytes(std::span(hashes))); }

Hash128 hash_file(const MappedFile& file, ThreadPool& pool) {
  const std::span<const std::byte> bytes = file.bytes();
  std::vector<Hash128> pieces((bytes.size() + kPiece - 1) / kPiece);
  pool.parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end, int) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      pieces[i] = hash_bytes(bytes.subspan(i * kPiece, std::min(kPiece, bytes.size() - i * kPiece)));
      file.release(i * kPiece, kPiece);
    }
  });
  return hash_all(pieces);
}

}  // namespace

Hash128 hash_weight_contents(const Checkpoint& checkpoint, ThreadPool& pool) {
  std::vector<Hash128> hashes = {hash_config(checkpoint)};
  for (const MappedFile* file : checkpoint.weight_files()) {
    hashes.push_back(hash_file(*file, pool));
  }
  return hash_all(hashes);
}

Hash128 hash_weight_facts(const Checkpoint& checkpoint) {
  std::vector<Hash128> hashes = {hash_config(checkpoint)};
  for (const MappedFile* file : checkpoint.weight_files()) {
    static_assert(sizeof(FileFacts) == 5 * sizeof(uint64_t));  // no gaps to hash
    hashes.push_back(hash_bytes(std::as_bytes(std::span(&file->facts(), 1))));
  }
  return hash_all(hashes);
}

bool settled_facts(const Checkpoint& checkpoint) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t limit = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - kSettled;
  const auto files = checkpoint.weight_files();
  return std::all_of(files.begin(), files.end(), [&](const MappedFile* file) {
    return file->facts().modified_ns < limit && file->facts().changed_ns < limit;
  });
}

bool weights_unchanged(const Checkpoint& checkpoint) {
  const auto files = checkpoint.weight_files();
  return std::all_of(files.begin(), files.end(), [](const MappedFile* file) { return file->is_unchanged(); });
}

}  // namespace strata
