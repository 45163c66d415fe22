// Files of packed weights of any bytes: opening one must never do more than fail, and its weights must be readable.
// The identity and the directory's hash are put right half of the time, so that what they guard is reached.
#include <cstring>
#include <vector>

#include "compute/graph/plan/packed_file.h"
#include "fuzz_file.h"

namespace {

constexpr size_t kFooter = 72;

// As packed_file.cpp makes it.
void seal(std::vector<uint8_t>& file) {
  if (file.size() < kFooter) return;
  uint8_t* footer = file.data() + file.size() - kFooter;
  const uint64_t magic = 0x574b505441525453;
  const uint32_t numbers[] = {strata::kPackedFileVersion, 0x01020304};
  std::memcpy(footer, &magic, sizeof magic);
  std::memcpy(footer + 8, numbers, sizeof numbers);
  std::memset(footer + 16, 0, 16);
  uint64_t directory = 0;
  std::memcpy(&directory, footer + 32, sizeof directory);
  if (directory > file.size() - kFooter) return;
  const auto bytes = std::as_bytes(std::span(file));
  const strata::Hash128 hashes[] = {
      strata::hash_bytes(bytes.subspan(directory, file.size() - kFooter - directory)),
      strata::hash_bytes(bytes.subspan(file.size() - kFooter, kFooter - 16)),
  };
  const strata::Hash128 both = strata::hash_bytes(std::as_bytes(std::span(hashes)));
  std::memcpy(footer + kFooter - 16, &both, sizeof both);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> bytes(data + 1, data + size);
  if (data[0] % 2 == 0) seal(bytes);
  const strata::fuzz::InputFile input(bytes.data(), bytes.size());
  const auto file = strata::PackedFile::open(input.path(), {});
  if (!file.ok()) {
    if (file.status().message().find('\n') != std::string::npos) __builtin_trap();
    return 0;
  }
  static strata::ThreadPool pool(1);
  const bool intact = file->verify(pool).ok();
  for (const strata::PackedEntry& entry : file->entries()) {
    uint64_t covered = 0;
    bool same = true;
    for (const strata::PackedPiece& piece : entry.pieces) {
      if (piece.offset != entry.offset + covered) __builtin_trap();
      covered += piece.bytes;
      same = same && strata::hash_bytes({file->data(entry) + (piece.offset - entry.offset), piece.bytes}) == piece.hash;
    }
    if (covered != entry.bytes || (intact && !same) || file->find(entry.key) != &entry) __builtin_trap();
  }
  return 0;
}
