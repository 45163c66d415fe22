#include "base/file_reads.h"

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/check.h"

namespace strata {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// Past the page cache where the file system can.
Descriptor open_direct(const std::filesystem::path& path) {
  const int direct = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  return Descriptor(direct >= 0 || errno != EINVAL ? direct : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

class UringReads final : public FileReads {
 public:
  // Null, and the file untouched, where there is no io_uring.
  static std::unique_ptr<FileReads> make(const std::filesystem::path& path, size_t depth, Descriptor& file) {
    io_uring ring{};
    if (::io_uring_queue_init(static_cast<unsigned>(depth), &ring, 0) != 0) return nullptr;
    return std::unique_ptr<FileReads>(new UringReads(path, depth, std::move(file), ring));
  }
  ~UringReads() override {
    while (under_way() > 0) wait();
    ::io_uring_queue_exit(&ring_);
  }

 private:
  UringReads(const std::filesystem::path& path, size_t depth, Descriptor file, const io_uring& ring)
      : FileReads(path, depth), file_(std::move(file)), ring_(ring) {}

  void submit(size_t slot) override {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    CHECK(entry != nullptr);
    const FileRead& read = at(slot);
    ::io_uring_prep_read(entry, file_.get(), read.to, static_cast<unsigned>(read.bytes), read.offset);
    ::io_uring_sqe_set_data64(entry, slot);
    ::io_uring_submit(&ring_);
  }

  std::pair<size_t, int64_t> reap() override {
    io_uring_cqe* done = nullptr;
    while (::io_uring_submit_and_wait(&ring_, 1) < 0 || ::io_uring_peek_cqe(&ring_, &done) != 0) {
    }
    const std::pair<size_t, int64_t> result(::io_uring_cqe_get_data64(done), done->res);
    ::io_uring_cqe_seen(&ring_, done);
    return result;
  }

  Descriptor file_;
  io_uring ring_;
};

class ThreadReads final : public FileReads {
 public:
  ThreadReads(const std::filesystem::path& path, size_t depth, Descriptor file)
      : FileReads(path, depth), file_(std::move(file)) {
    for (size_t i = 0; i < std::min(depth, kThreads); ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  ~ThreadReads() override {
    while (under_way() > 0) wait();
  }

 private:
  static constexpr size_t kThreads = 8;

  void submit(size_t slot) override {
    const std::lock_guard lock(mutex_);
    todo_.push_back(slot);
    work_.notify_one();
  }

  std::pair<size_t, int64_t> reap() override {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return !done_.empty(); });
    const auto result = done_.front();
    done_.pop_front();
    return result;
  }

  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (work_.wait(lock, stop, [&] { return !todo_.empty(); })) {
      const size_t slot = todo_.front();
      todo_.pop_front();
      const FileRead read = at(slot);
      lock.unlock();
      const ssize_t bytes = ::pread(file_.get(), read.to, read.bytes, static_cast<off_t>(read.offset));
      const int64_t result = bytes < 0 ? -errno : bytes;
      lock.lock();
      done_.emplace_back(slot, result);
      ready_.notify_one();
    }
  }

  Descriptor file_;
  std::mutex mutex_;
  std::condition_variable_any work_;
  std::condition_variable ready_;
  std::deque<size_t> todo_;
  std::deque<std::pair<size_t, int64_t>> done_;
  std::vector<std::jthread> threads_;  // destroyed first
};

}  // namespace

Result<std::unique_ptr<FileReads>> FileReads::open(const std::filesystem::path& path, size_t depth, Kind kind) {
  CHECK_GE(depth, size_t{1});
  Descriptor file = open_direct(path);
  if (file.get() < 0) return unavailable(path.string() + ": cannot be read: " + std::strerror(errno));
  std::unique_ptr<FileReads> reads;
  if (kind != Kind::kThreads) reads = UringReads::make(path, depth, file);
  if (reads == nullptr && kind == Kind::kUring) return unavailable("this system lets us use no io_uring");
  if (reads == nullptr) reads = std::make_unique<ThreadReads>(path, depth, std::move(file));
  reads->slots_.resize(depth);
  for (size_t slot = depth; slot > 0; --slot) reads->free_.push_back(slot - 1);
  return reads;
}

void FileReads::start(const FileRead& read) {
  CHECK_LT(under_way_, depth_);
  const size_t slot = free_.back();
  free_.pop_back();
  slots_[slot] = read;
  ++under_way_;
  submit(slot);
}

FileReads::Done FileReads::wait() {
  CHECK_GT(under_way_, size_t{0});
  for (;;) {
    const auto [slot, result] = reap();
    FileRead& read = slots_[slot];
    const auto bytes = static_cast<size_t>(std::max<int64_t>(0, result));
    const bool again = result == -EINTR || result == -EAGAIN;
    if (again || (bytes > 0 && bytes < read.bytes)) {  // the rest
      read.offset += bytes;
      read.to += bytes;
      read.bytes -= bytes;
      submit(slot);
      continue;
    }
    --under_way_;
    free_.push_back(slot);
    if (bytes == read.bytes) return {read.tag, ok_status()};
    if (result == 0) return {read.tag, data_loss(path_.string() + ": it is truncated")};
    return {read.tag, unavailable(path_.string() + ": cannot be read: " + std::strerror(static_cast<int>(-result)))};
  }
}

}  // namespace strata
