#include "engine/packed_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "base/log.h"
#include "compute/graph/plan/bound_weights.h"
#include "model/weights_identity.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights = ".weights";  // of files with packed weights
constexpr std::string_view kRecord = ".source";    // of records
constexpr std::string_view kPart = ".part-";       // in names of files that are being written
constexpr auto kAbandoned = std::chrono::hours(1);
constexpr size_t kMaxRecords = 1000;

// Held while a file is made, so that other processes wait for it. Where there are no locks, each makes its own.
class BuildLock {
 public:
  explicit BuildLock(fs::path path)
      : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    log_info("waiting for another process that packs the same weights");
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  BuildLock(const BuildLock&) = delete;
  BuildLock& operator=(const BuildLock&) = delete;
  ~BuildLock() {
    if (fd_ < 0) return;
    ::unlink(path_.c_str());  // whoever waits for it looks for the file again
    ::close(fd_);
  }

 private:
  fs::path path_;
  int fd_;
};

fs::path in_folder(const fs::path& folder, const Hash128& hash, std::string_view kind) {
  return folder / (hash.hex() + std::string(kind));
}

// A record: the content's hash, and the hash of it under the facts' hash.
std::array<Hash128, 2> record_of(const Hash128& facts, const Hash128& content) {
  const std::array<Hash128, 2> both = {facts, content};
  return {content, hash_bytes(std::as_bytes(std::span(both)))};
}

Hash128 content_of(const Checkpoint& checkpoint, ThreadPool& pool, const fs::path& folder) {
  const Hash128 facts = hash_weight_facts(checkpoint);
  const fs::path path = in_folder(folder, facts, kRecord);
  std::array<Hash128, 2> record;
  std::ifstream in(path, std::ios::binary);
  if (in.read(reinterpret_cast<char*>(record.data()), sizeof record) && record == record_of(facts, record[0])) {
    return record[0];
  }
  const bool settled = settled_facts(checkpoint);
  const Hash128 content = hash_weight_contents(checkpoint, pool);
  if (!settled) return content;
  record = record_of(facts, content);
  // Without a record the next start reads the model again: no reason to say so.
  if (Result<AtomicFile> file = AtomicFile::create(path); file.ok()) {
    if (file->write(std::as_bytes(std::span(record))).ok()) static_cast<void>(file->commit(false));
  }
  return content;
}

uint64_t bytes_of(const std::vector<BoundWeight>& weights) {
  uint64_t bytes = 0;
  for (const BoundWeight& weight : weights) bytes += weight.bytes();
  return bytes;
}

Hash128 identity_of(const Hash128& content, const std::vector<BoundWeight>& weights) {
  std::vector<Hash128> all = {content};
  for (const BoundWeight& weight : weights) all.push_back(weight.key());
  return hash_bytes(std::as_bytes(std::span(all)));
}

struct OldFile {
  fs::path path;
  fs::file_time_type used;
  uint64_t bytes;
};

std::vector<OldFile> files_of(const fs::path& folder, std::string_view in_name) {
  std::vector<OldFile> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().find(in_name) == std::string::npos) continue;
    std::error_code gone;
    const OldFile file{at->path(), at->last_write_time(gone), at->file_size(gone)};
    if (!gone) files.push_back(file);
  }
  std::sort(files.begin(), files.end(), [](const OldFile& a, const OldFile& b) { return a.used < b.used; });
  return files;
}

void drop(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);  // processes that have it open keep it
}

// Makes room for `bytes` more; what crashed writers left goes as well.
void clean(const fs::path& folder, uint64_t bytes, uint64_t max_bytes) {
  for (const OldFile& file : files_of(folder, kPart)) {
    if (file.used < fs::file_time_type::clock::now() - kAbandoned) drop(file.path);
  }
  std::vector<OldFile> records = files_of(folder, kRecord);
  for (size_t i = 0; i + kMaxRecords < records.size(); ++i) drop(records[i].path);
  uint64_t total = bytes;
  const std::vector<OldFile> files = files_of(folder, kWeights);
  for (const OldFile& file : files) total += file.bytes;
  for (const OldFile& file : files) {
    if (total <= max_bytes) return;
    log_info(file.path.string() + ": removed, other models' packed weights need the room");
    drop(file.path);
    total -= file.bytes;
  }
}

Result<std::shared_ptr<const PackedFile>> open_checked(const fs::path& path, const Hash128& identity, ThreadPool& pool,
                                                       bool keep_mapped) {
  ASSIGN_OR_RETURN(PackedFile file, PackedFile::open(path, identity));
  RETURN_IF_ERROR(file.verify(pool, keep_mapped));
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now; a folder that is not ours stays as it is
  return std::make_shared<const PackedFile>(std::move(file));
}

Status write_file(const Checkpoint& checkpoint, const std::vector<BoundWeight>& weights, WeightBinder& binder,
                  const fs::path& path, const Hash128& identity) {
  ASSIGN_OR_RETURN(PackedFileWriter file, PackedFileWriter::create(path, identity, bytes_of(weights)));
  RETURN_IF_ERROR(binder.write(weights, file));
  if (!weights_unchanged(checkpoint)) {
    return unavailable(checkpoint.path().string() + ": it changed while it was read (start again)");
  }
  return file.finish();
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? unavailable(folder.string() + ": " + error.message()) : ok_status();
}

}  // namespace

Result<std::shared_ptr<const PackedFile>> cached_weights(const Checkpoint& checkpoint, const Graph& graph,
                                                         const CpuKernels& kernels, WeightBinder& binder,
                                                         ThreadPool& pool, const PackedCacheOptions& options) {
  if (options.folder.empty()) return std::shared_ptr<const PackedFile>();
  const std::vector<BoundWeight> weights = bound_weights(graph, kernels, binder);
  const uint64_t bytes = bytes_of(weights);
  if (bytes < options.min_bytes) return std::shared_ptr<const PackedFile>();

  const Status folder = make_folder(options.folder);  // may be one that we can only read
  const Hash128 identity = identity_of(content_of(checkpoint, pool, options.folder), weights);
  const fs::path path = in_folder(options.folder, identity, kWeights);
  Result<std::shared_ptr<const PackedFile>> file = open_checked(path, identity, pool, options.keep_mapped);
  if (file.ok()) return file;
  RETURN_IF_ERROR(folder);
  const BuildLock lock(in_folder(options.folder, identity, ".lock"));
  file = open_checked(path, identity, pool, options.keep_mapped);
  if (file.ok()) return file;
  if (file.status().code() != Code::kNotFound) log_warning(file.status().message() + "; packing them anew");
  if (bytes > options.max_bytes) {
    return exhausted(std::to_string(bytes) +
                     " bytes of packed weights are more than may be kept (--packed-cache-bytes)");
  }
  drop(path);
  clean(options.folder, bytes, options.max_bytes);
  RETURN_IF_ERROR(write_file(checkpoint, weights, binder, path, identity));
  log_info(fmt::format("packed weights kept in {} ({} MiB)", path.string(), bytes >> 20));
  return open_checked(path, identity, pool, options.keep_mapped);
}

void use_cached_weights(const Checkpoint& checkpoint, const Graph& graph, const CpuKernels& kernels,
                        WeightBinder& binder, ThreadPool& pool, const PackedCacheOptions& options) {
  Result<std::shared_ptr<const PackedFile>> file = cached_weights(checkpoint, graph, kernels, binder, pool, options);
  if (!file.ok()) log_warning("packed weights are not kept: " + file.status().message());
  if (file.ok() && *file != nullptr) binder.use(*std::move(file));
}

}  // namespace strata
