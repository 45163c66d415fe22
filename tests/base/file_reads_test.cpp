// Reads that go on in the background, by io_uring and by threads.
#include "base/file_reads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>

namespace strata {
namespace {

constexpr size_t kPage = 4096;

class FileReadsTest : public testing::TestWithParam<FileReads::Kind> {
 protected:
  FileReadsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "strata-reads-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    EXPECT_GE(fd, 0);
    path_ = pattern;
    std::mt19937 random(3);
    bytes_.resize(50 * kPage);
    for (char& c : bytes_) c = static_cast<char>(random());
    EXPECT_EQ(::write(fd, bytes_.data(), bytes_.size()), static_cast<ssize_t>(bytes_.size()));
    ::close(fd);
    buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, bytes_.size())));
  }
  ~FileReadsTest() override { std::filesystem::remove(path_); }

  // Null, and the test skipped, where the system has no io_uring.
  std::unique_ptr<FileReads> open(size_t depth) {
    auto reads = FileReads::open(path_, depth, GetParam());
    if (reads.ok()) return *std::move(reads);
    EXPECT_EQ(GetParam(), FileReads::Kind::kUring) << reads.status().message();
    return nullptr;
  }

  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::filesystem::path path_;
  std::string bytes_;
  std::unique_ptr<std::byte, Free> buffer_;
};

TEST_P(FileReadsTest, GivesEveryReadOnce) {
  for (const size_t depth : {1, 3, 8}) {
    const auto reads = open(depth);
    if (reads == nullptr) GTEST_SKIP() << "no io_uring here";
    std::fill(buffer_.get(), buffer_.get() + bytes_.size(), std::byte{0});
    std::set<uint64_t> done;
    size_t next = 0;  // reads of 1 to 3 pages, from the end to the beginning
    std::vector<FileRead> all;
    for (size_t end = bytes_.size(); end > 0;) {
      const size_t bytes = std::min(end, (1 + all.size() % 3) * kPage);
      end -= bytes;
      all.push_back({end, bytes, buffer_.get() + end, all.size() + 100});
    }
    while (done.size() < all.size()) {
      while (next < all.size() && reads->under_way() < reads->depth()) reads->start(all[next++]);
      const FileReads::Done one = reads->wait();
      EXPECT_TRUE(one.status.ok()) << one.status.message();
      EXPECT_TRUE(done.insert(one.tag).second);
    }
    EXPECT_EQ(reads->under_way(), 0U);
    EXPECT_EQ(*done.begin(), 100U);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(buffer_.get()), bytes_.size()), bytes_);
  }
}

TEST_P(FileReadsTest, SaysWhereAFileEnds) {
  const auto reads = open(4);
  if (reads == nullptr) GTEST_SKIP() << "no io_uring here";
  ASSERT_EQ(::truncate(path_.c_str(), 3 * kPage), 0);
  reads->start({0, 3 * kPage, buffer_.get(), 1});
  EXPECT_TRUE(reads->wait().status.ok());
  for (const uint64_t offset : {2 * kPage, 3 * kPage, 40 * kPage}) {  // partly and wholly behind the end
    reads->start({offset, 4 * kPage, buffer_.get(), 2});
    const FileReads::Done done = reads->wait();
    EXPECT_EQ(done.tag, 2U);
    EXPECT_FALSE(done.status.ok());
    EXPECT_NE(done.status.message().find(path_.string()), std::string::npos);
  }
}

TEST_P(FileReadsTest, ReadsUnderWayEndBeforeItDoes) {
  for (int round = 0; round < 20; ++round) {
    const auto reads = open(8);
    if (reads == nullptr) GTEST_SKIP() << "no io_uring here";
    for (uint64_t i = 0; i < 8; ++i) reads->start({i * kPage, 4 * kPage, buffer_.get() + i * 5 * kPage, i});
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, FileReadsTest, testing::Values(FileReads::Kind::kUring, FileReads::Kind::kThreads),
                         [](const auto& tested) {
                           return std::string(tested.param == FileReads::Kind::kUring ? "Uring" : "Threads");
                         });

TEST(FileReadsOpen, NamesTheFile) {
  const auto reads = FileReads::open("/nonexistent/weights", 4);
  ASSERT_FALSE(reads.ok());
  EXPECT_NE(reads.status().message().find("/nonexistent/weights"), std::string::npos);
}

}  // namespace
}  // namespace strata
