// Files of packed weights: what is written is read back, and no truncated, stale or damaged file passes.
#include "compute/graph/plan/packed_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "model/format/test_files.h"

namespace strata {
namespace {

using test::TemporaryFolder;

constexpr Hash128 kIdentity{1, 2};

std::vector<std::byte> random_bytes(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(n);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// Small weights, an empty one, and one of several pieces.
const std::vector<std::vector<std::byte>>& weights() {
  static const std::vector<std::vector<std::byte>> all = {
      random_bytes(100, 1), {}, random_bytes(5000, 2), random_bytes(2 * kPackedPiece + 77, 3)};
  return all;
}

std::filesystem::path write_file(const TemporaryFolder& folder, size_t n_weights, const Hash128& identity = kIdentity) {
  const std::filesystem::path path = folder.path() / "weights";
  Result<PackedFileWriter> file = PackedFileWriter::create(path, identity, 1 << 20);
  EXPECT_TRUE(file.ok()) << file.status().message();
  for (size_t i = 0; i < n_weights; ++i) EXPECT_TRUE(file->add({i, 7}, weights()[i]).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(file->finish().ok());
  return path;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void put(const std::filesystem::path& path, size_t at, char byte) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at)).put(byte);
}

bool passes(const std::filesystem::path& path, const Hash128& identity = kIdentity) {
  ThreadPool pool(1);
  const Result<PackedFile> file = PackedFile::open(path, identity);
  const Status status = file.ok() ? file->verify(pool) : file.status();
  if (!status.ok()) {
    EXPECT_EQ(status.code(), Code::kDataLoss) << status.message();
    EXPECT_NE(status.message().find(path.string()), std::string::npos);
  }
  return status.ok();
}

TEST(PackedFile, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const Result<PackedFile> file = PackedFile::open(write_file(folder, weights().size()), kIdentity);
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    EXPECT_TRUE(file->verify(pool).ok());
  }
  ASSERT_EQ(file->entries().size(), weights().size());
  uint64_t end = 0;
  for (size_t i = 0; i < weights().size(); ++i) {
    const PackedEntry* entry = file->find({i, 7});
    ASSERT_EQ(entry, &file->entries()[i]);
    ASSERT_EQ(entry->bytes, weights()[i].size());
    EXPECT_EQ(entry->offset % kPackedAlignment, 0U);
    EXPECT_GE(entry->offset, end);
    end = entry->offset + entry->bytes;
    EXPECT_TRUE(std::equal(weights()[i].begin(), weights()[i].end(), file->data(*entry)));
    EXPECT_EQ(entry->pieces.size(), (entry->bytes + kPackedPiece - 1) / kPackedPiece);
    for (const PackedPiece& piece : entry->pieces) {
      EXPECT_EQ(hash_bytes({file->data(*entry) + (piece.offset - entry->offset), piece.bytes}), piece.hash);
    }
  }
  EXPECT_EQ(file->find({0, 8}), nullptr);
}

TEST(PackedFile, HoldsNoWeightsAtAll) {
  const TemporaryFolder folder;
  const Result<PackedFile> file = PackedFile::open(write_file(folder, 0), kIdentity);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(file->entries().empty());
}

TEST(PackedFile, AbsentIsNotDamaged) {
  EXPECT_EQ(PackedFile::open("/nonexistent/weights", kIdentity).status().code(), Code::kNotFound);
}

TEST(PackedFile, EveryFlippedByteOfAWeightOrTheDirectoryIsNoticed) {
  const TemporaryFolder folder;
  const std::filesystem::path path = write_file(folder, 3);
  const std::string whole = contents(path);
  const Result<PackedFile> file = PackedFile::open(path, kIdentity);
  ASSERT_TRUE(file.ok());
  const auto is_padding = [&](size_t at) {  // between two weights: nobody reads it
    for (const PackedEntry& entry : file->entries()) {
      if (at >= entry.offset && at < entry.offset + entry.bytes) return false;
    }
    return at < 3 * kPackedAlignment;
  };
  int flipped = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    if (is_padding(at)) continue;
    put(path, at, static_cast<char>(whole[at] ^ (1 << at % 8)));
    EXPECT_FALSE(passes(path)) << "byte " << at;
    put(path, at, whole[at]);
    ++flipped;
  }
  EXPECT_EQ(flipped, 100 + 5000 + 3 * 32 + 2 * 16 + 72);
  EXPECT_TRUE(passes(path));
}

TEST(PackedFile, TruncatedOrLongerFilesAreNoticed) {
  const TemporaryFolder folder;
  const std::filesystem::path path = write_file(folder, 3);
  const std::string whole = contents(path);
  for (size_t size = 0; size < whole.size(); size += size < 100 || size + 400 > whole.size() ? 1 : 97) {
    folder.write("weights", whole.substr(0, size));
    EXPECT_FALSE(passes(path)) << size << " bytes";
  }
  folder.write("weights", whole + '\0');
  EXPECT_FALSE(passes(path));
  folder.write("weights", std::string(whole.size(), '\0'));  // what a crash may leave
  EXPECT_FALSE(passes(path));
}

TEST(PackedFile, OtherVersionsAndIdentitiesAreNotTaken) {
  const TemporaryFolder folder;
  const std::filesystem::path path = write_file(folder, 2);
  EXPECT_TRUE(passes(path));
  EXPECT_FALSE(passes(path, {1, 3}));
  std::string other = contents(path);
  const size_t version_at = other.size() - 72 + 8;
  uint32_t version = 0;
  std::memcpy(&version, other.data() + version_at, sizeof version);
  ASSERT_EQ(version, kPackedFileVersion);
  ++other[version_at];
  folder.write("weights", other);
  const Result<PackedFile> file = PackedFile::open(path, kIdentity);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.status().message().find("another version"), std::string::npos) << file.status().message();
}

TEST(PackedFile, AFileThatIsNotFinishedLeavesNothing) {
  const TemporaryFolder folder;
  {
    Result<PackedFileWriter> file = PackedFileWriter::create(folder.path() / "weights", kIdentity, 1 << 20);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->add({1, 1}, weights()[2]).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_FALSE(PackedFileWriter::create(folder.path() / "no" / "weights", kIdentity, 1).ok());
}

}  // namespace
}  // namespace strata
