#include "learn/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/atomic_file.h"

namespace strata {

namespace fs = std::filesystem;

Result<RunFolder> RunFolder::open(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return unavailable(path.string() + ": cannot be made: " + error.message());
  const int lock = ::open((path / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0) return unavailable(path.string() + ": cannot be written: " + std::strerror(errno));
  RunFolder folder(path, lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return unavailable(path.string() + ": another run is writing this folder (wait for it, or give another --out)");
  }
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.path().filename().string().find(".part-") != std::string::npos) fs::remove(entry.path(), error);
  }
  return folder;
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder& RunFolder::operator=(RunFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

bool RunFolder::has(std::string_view name) const {
  std::error_code error;
  return fs::exists(file(name), error);
}

Status write_text(const fs::path& path, std::string_view text) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  RETURN_IF_ERROR(file.write(std::as_bytes(std::span(text))));
  return file.commit();
}

}  // namespace strata
