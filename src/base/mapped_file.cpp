#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace strata {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

constexpr size_t kHugePage = size_t{2} << 20;

FileFacts facts_of(const struct stat& info) {
  const auto nanoseconds = [](const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; };
  return {info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

// MAP_FAILED when there is no room.
void* map_aligned(int fd, size_t size) {
  if (size < kHugePage) return ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const size_t room = size + kHugePage;
  void* reserved = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return reserved;
  auto* begin = static_cast<std::byte*>(reserved);
  std::byte* data = begin + (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t mapped = (size + page - 1) / page * page;
  void* file = ::mmap(data, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
  if (file == MAP_FAILED) {
    ::munmap(reserved, room);
    return file;
  }
  if (data > begin) ::munmap(begin, static_cast<size_t>(data - begin));
  if (data + mapped < begin + room) ::munmap(data + mapped, static_cast<size_t>(begin + room - data) - mapped);
  return file;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) {
    const int error = errno;
    const std::string message = path.string() + ": " + std::strerror(error);
    return error == ENOENT ? not_found(message) : unavailable(message);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return unavailable(path.string() + ": " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return invalid_argument(path.string() + ": not a regular file");
  const FileFacts facts = facts_of(info);
  if (facts.size == 0) return MappedFile(path, nullptr, facts);
  void* data = map_aligned(fd.get(), static_cast<size_t>(facts.size));
  if (data == MAP_FAILED) return unavailable(path.string() + ": cannot map: " + std::strerror(errno));
  return MappedFile(path, static_cast<const std::byte*>(data), facts);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      facts_(other.facts_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(facts_, other.facts_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

bool MappedFile::is_unchanged() const {
  struct stat info {};
  return ::stat(path_.c_str(), &info) == 0 && facts_of(info) == facts_;
}

void MappedFile::release(size_t offset, size_t length) const {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;  // only whole pages inside the range
  const size_t end = std::min(offset + length, size_) / page * page;
  if (end > begin) {
    ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
  }
}

}  // namespace strata
