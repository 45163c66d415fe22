// Text and JSON lines of any bytes, in blocks of any size: each record comes once, wherever blocks end. The first byte
// chooses the size of blocks, the second the kind of file and of separator.
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "learn/data/corpus.h"

namespace {

std::vector<std::string> records_of(const strata::CorpusOptions& options) {
  const auto corpus = strata::Corpus::open(options);
  std::vector<std::string> texts;
  if (!corpus.ok()) return texts;
  for (size_t block = 0; block < corpus->n_blocks(); ++block) {
    std::vector<strata::Record> records;
    if (!corpus->read_block(block, records, [](const strata::Corpus::Fault&) {}).ok()) std::abort();
    for (strata::Record& record : records) texts.push_back(std::move(record.text));
  }
  return texts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  static const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("fuzz_corpus_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const bool is_json = data[1] % 3 == 0;
  const std::filesystem::path path = folder / (is_json ? "a.jsonl" : "a.txt");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data + 2), static_cast<std::streamsize>(size - 2));
  strata::CorpusOptions options{.paths = {path}, .separator = data[1] % 3 == 1 ? "" : "-", .skips_faults = true};
  options.max_record_bytes = 64;
  options.block_bytes = int64_t{1} << 20;
  const auto whole = records_of(options);
  options.block_bytes = 4 + data[0] % 64;  // a byte order mark is never cut
  if (records_of(options) != whole) __builtin_trap();
  return 0;
}
