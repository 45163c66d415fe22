#include "cli/disk_speed.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

#include "base/clock.h"
#include "base/file_reads.h"
#include "compute/graph/plan/bind.h"

namespace strata::cli {
namespace {

constexpr size_t kPiece = size_t{2} << 20;
constexpr size_t kDepth = 32;
constexpr uint64_t kFileBytes = uint64_t{1} << 30;

Result<double> read_once(FileReads& reads, std::byte* buffer, uint64_t bytes) {
  const TimePoint start = steady_clock().now();
  uint64_t next = 0, done = 0;
  std::vector<size_t> free_places(kDepth);
  for (size_t i = 0; i < kDepth; ++i) free_places[i] = i;
  Status status;
  while (done < next || (next < bytes && status.ok())) {
    while (next < bytes && status.ok() && reads.under_way() < reads.depth()) {
      const size_t place = free_places.back();
      free_places.pop_back();
      reads.start({next, kPiece, buffer + place * kPiece, place});
      next += kPiece;
    }
    const FileReads::Done one = reads.wait();
    if (!one.status.ok()) status = one.status;
    free_places.push_back(one.tag);
    done += kPiece;
  }
  RETURN_IF_ERROR(status);
  return static_cast<double>(done) / to_seconds(steady_clock().now() - start);
}

// Numbers that no disk can leave out or make small.
Status write_random(int fd, uint64_t bytes, const std::string& name) {
  std::vector<uint64_t> numbers(kPiece / sizeof(uint64_t));
  std::mt19937_64 random(bytes);
  for (uint64_t& number : numbers) number = random();
  for (uint64_t at = 0; at < bytes; at += kPiece) {
    numbers[0] = at;
    if (::pwrite(fd, numbers.data(), kPiece, static_cast<off_t>(at)) != static_cast<ssize_t>(kPiece)) {
      return unavailable(name + ": cannot be written: " + std::strerror(errno));
    }
  }
  return ::fsync(fd) == 0 ? ok_status() : unavailable(name + ": " + std::strerror(errno));
}

}  // namespace

Result<double> disk_read_speed(const std::filesystem::path& file, uint64_t bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<FileReads> reads, FileReads::open(file, kDepth));
  const AlignedBuffer buffer(kDepth * kPiece);
  double best = 0;
  for (int pass = 0; pass < 2; ++pass) {
    ASSIGN_OR_RETURN(const double speed, read_once(*reads, buffer.data(), bytes / kPiece * kPiece));
    best = std::max(best, speed);
  }
  return best;
}

Result<double> disk_read_speed_of_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string path = (folder / "disk-speed.part-XXXXXX").string();
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return unavailable(folder.string() + ": cannot be written: " + std::strerror(errno));
  const Status written = write_random(fd, kFileBytes, path);
  Result<double> speed = written.ok() ? disk_read_speed(path, kFileBytes) : Result<double>(written);
  ::close(fd);
  ::unlink(path.c_str());
  return speed;
}

}  // namespace strata::cli
