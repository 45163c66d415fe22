#include "compute/graph/plan/packed_file.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

namespace strata {
namespace {

constexpr uint64_t kMagic = 0x574b505441525453;  // "STRATPKW"
constexpr uint32_t kByteOrder = 0x01020304;

struct Footer {
  uint64_t magic = kMagic;
  uint32_t version = kPackedFileVersion;
  uint32_t byte_order = kByteOrder;
  Hash128 identity;
  uint64_t directory_offset = 0;
  uint64_t n_entries = 0;
  uint64_t n_pieces = 0;
  Hash128 hash;  // of the directory, seeded, then of the footer before it
};
static_assert(sizeof(Footer) == 72);

struct StoredEntry {
  Hash128 key;
  uint64_t offset;
  uint64_t bytes;
};
static_assert(sizeof(StoredEntry) == 32 && sizeof(Hash128) == 16);

Hash128 structure_hash(const Footer& footer, std::span<const std::byte> directory) {
  const std::array<Hash128, 2> both = {
      hash_bytes(directory), hash_bytes({reinterpret_cast<const std::byte*>(&footer), offsetof(Footer, hash)})};
  return hash_bytes(std::as_bytes(std::span(both)));
}

uint64_t pieces_of(uint64_t bytes) { return bytes / kPackedPiece + (bytes % kPackedPiece != 0 ? 1 : 0); }

template <class T>
T load(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

Status PackedFile::damaged(const char* what) const { return data_loss(path_.string() + ": " + what); }

Result<PackedFile> PackedFile::open(const std::filesystem::path& path, const Hash128& identity) {
  ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  PackedFile file(path, std::move(mapped));
  RETURN_IF_ERROR(file.read_directory(identity));
  return file;
}

Status PackedFile::read_directory(const Hash128& identity) {
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < sizeof(Footer)) return damaged("it is truncated");
  const uint64_t before_footer = bytes.size() - sizeof(Footer);
  Footer footer;
  std::memcpy(&footer, bytes.data() + before_footer, sizeof footer);
  if (footer.magic != kMagic) return damaged("it is truncated, or not a file of packed weights");
  if (footer.byte_order != kByteOrder) return damaged("it was written on a machine of the other byte order");
  if (footer.version != kPackedFileVersion) return damaged("it was written by another version");
  if (footer.identity != identity) return damaged("it was made of other weights");
  const uint64_t room = footer.directory_offset <= before_footer ? before_footer - footer.directory_offset : 0;
  if (footer.n_entries > room / sizeof(StoredEntry) || footer.n_pieces > room / sizeof(Hash128) ||
      footer.n_entries * sizeof(StoredEntry) + footer.n_pieces * sizeof(Hash128) != room) {
    return damaged("its directory is damaged");
  }
  const std::span<const std::byte> directory = bytes.subspan(footer.directory_offset, room);
  if (structure_hash(footer, directory) != footer.hash) return damaged("its directory is damaged");
  const std::span<const std::byte> hashes = directory.subspan(footer.n_entries * sizeof(StoredEntry));
  pieces_.reserve(footer.n_pieces);
  entries_.reserve(footer.n_entries);
  for (uint64_t i = 0; i < footer.n_entries; ++i) {
    const auto stored = load<StoredEntry>(directory, i);
    if (stored.offset % kPackedAlignment != 0 || stored.offset > footer.directory_offset ||
        stored.bytes > footer.directory_offset - stored.offset ||
        pieces_of(stored.bytes) > footer.n_pieces - pieces_.size()) {
      return damaged("its directory is damaged");
    }
    const size_t first = pieces_.size();
    for (uint64_t at = 0; at < stored.bytes; at += kPackedPiece) {
      pieces_.push_back({stored.offset + at, std::min<uint64_t>(kPackedPiece, stored.bytes - at),
                         load<Hash128>(hashes, pieces_.size())});
    }
    entries_.push_back({stored.key, stored.offset, stored.bytes, std::span(pieces_).subspan(first)});
    if (!index_.emplace(stored.key, i).second) return damaged("its directory is damaged");
  }
  return pieces_.size() == footer.n_pieces ? ok_status() : damaged("its directory is damaged");
}

Status PackedFile::verify(ThreadPool& pool, bool keep) const {
  std::atomic<bool> intact{true};
  pool.parallel_for(static_cast<int64_t>(pieces_.size()), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const PackedPiece& piece = pieces_[static_cast<size_t>(i)];
      if (hash_bytes(file_.bytes().subspan(piece.offset, piece.bytes)) != piece.hash) intact = false;
      if (!keep) file_.release(piece.offset, piece.bytes);
    }
  });
  return intact ? ok_status() : damaged("its weights are damaged");
}

void PackedFile::copy(const PackedEntry& entry, std::byte* to) const {
  for (const PackedPiece& piece : entry.pieces) {
    std::memcpy(to + (piece.offset - entry.offset), file_.bytes().data() + piece.offset, piece.bytes);
    file_.release(piece.offset, piece.bytes);
  }
}

const PackedEntry* PackedFile::find(const Hash128& key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

Result<PackedFileWriter> PackedFileWriter::create(const std::filesystem::path& path, const Hash128& identity,
                                                  uint64_t bytes) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  RETURN_IF_ERROR(file.reserve(bytes));
  return PackedFileWriter(std::move(file), identity);
}

Status PackedFileWriter::add(const Hash128& key, std::span<const std::byte> bytes) {
  for (const uint64_t field : {key.low, key.high, file_.position(), uint64_t{bytes.size()}}) entries_.push_back(field);
  for (size_t at = 0; at < bytes.size(); at += kPackedPiece) {
    hashes_.push_back(hash_bytes(bytes.subspan(at, std::min(kPackedPiece, bytes.size() - at))));
  }
  RETURN_IF_ERROR(file_.write(bytes));
  static constexpr std::array<std::byte, kPackedAlignment> kZeros{};
  const size_t rest = (kPackedAlignment - file_.position() % kPackedAlignment) % kPackedAlignment;
  return file_.write(std::span(kZeros).first(rest));
}

Status PackedFileWriter::finish() {
  Footer footer;
  footer.identity = identity_;
  footer.directory_offset = file_.position();
  footer.n_entries = entries_.size() * sizeof(uint64_t) / sizeof(StoredEntry);
  footer.n_pieces = hashes_.size();
  std::vector<std::byte> directory;
  for (const auto part : {std::as_bytes(std::span(entries_)), std::as_bytes(std::span(hashes_))}) {
    directory.insert(directory.end(), part.begin(), part.end());
  }
  footer.hash = structure_hash(footer, directory);
  RETURN_IF_ERROR(file_.write(directory));
  RETURN_IF_ERROR(file_.write(std::as_bytes(std::span(&footer, 1))));
  return file_.commit(false);  // whoever opens it compares its hashes
}

}  // namespace strata
