#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace strata {
namespace {

constexpr size_t kBufferBytes = size_t{4} << 20;

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      position_(other.position_),
      buffer_(std::move(other.buffer_)) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(position_, other.position_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::failure(const char* what) const {
  return unavailable(path_.string() + ": " + what + ": " + std::strerror(errno));
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path) {
  std::string pattern = path.string() + ".part-XXXXXX";
  const int descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (descriptor < 0) return unavailable(path.string() + ": cannot be written: " + std::strerror(errno));
  AtomicFile file(path, pattern, descriptor);
  const mode_t mask = ::umask(0);  // mkostemp makes private files; a model is as readable as any other
  ::umask(mask);
  if (::fchmod(descriptor, 0666 & ~mask) != 0) return file.failure("cannot set its mode");
  return file;
}

Status AtomicFile::reserve(uint64_t bytes) {
  if (::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0 || errno == EOPNOTSUPP ||
      errno == ENOSYS || errno == EINTR) {
    return ok_status();
  }
  return failure("cannot be written");
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  position_ += bytes.size();
  while (!bytes.empty()) {
    const size_t part = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (buffer_.size() == kBufferBytes) RETURN_IF_ERROR(flush());
  }
  return ok_status();
}

Status AtomicFile::flush() {
  const Status status = write_through(buffer_);
  buffer_.clear();
  return status;
}

Status AtomicFile::write_through(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure("cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return ok_status();
}

Status AtomicFile::commit(bool durable) {
  RETURN_IF_ERROR(flush());
  if (durable && ::fsync(descriptor_) != 0) return failure("cannot be brought to disk");
  if (::close(std::exchange(descriptor_, -1)) != 0) return failure("cannot be closed");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failure("cannot be put in place");
  temporary_.clear();
  return ok_status();
}

}  // namespace strata
