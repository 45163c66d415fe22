// The text files that a model learns from, cut in blocks of bytes that are read one at a time: any size of corpus in
// the memory of a few blocks. A record (a document) belongs to the block in which it begins, so every record is in
// exactly one block and a block can be read alone.
//
// *.jsonl: a record a line, an object whose field has the text, or with "messages", a chat. Other files: text, records
// apart by lines that equal the separator. A record that is broken (no UTF-8, NUL bytes, no JSON, no such field, too
// long) is a fault: reported by file and line, and skipped or fatal.
//
// Immutable after open(); any thread may read blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace strata {

struct CorpusOptions {
  std::vector<std::filesystem::path> paths;  // files, and folders: all *.txt and *.jsonl below them, by name
  std::string field = "text";                // of JSON lines
  // The line between two documents of a text; empty: a blank line. Without one a file is one document, which comes in
  // pieces of whole lines.
  std::optional<std::string> separator = "";
  int64_t block_bytes = int64_t{1} << 20;
  int64_t max_record_bytes = int64_t{16} << 20;
  bool skips_faults = false;  // else the first one is an error
};

struct Record {
  std::string text;  // of a chat: its messages, as JSON
  bool is_chat = false;
  bool ends = true;  // false: the document goes on in the next record
  uint32_t file = 0;
  uint64_t offset = 0;  // of its first byte
};

class Corpus {
 public:
  // kNotFound, kInvalidArgument: a path that is not there, no file with text.
  static Result<Corpus> open(CorpusOptions options);

  struct File {
    std::filesystem::path path;
    uint64_t size = 0;
    bool is_json = false;
  };
  const std::vector<File>& files() const { return files_; }
  uint64_t bytes() const { return bytes_; }
  size_t n_blocks() const { return blocks_.size(); }

  // A record that is skipped.
  struct Fault {
    uint32_t file = 0;
    uint64_t offset = 0;  // of the record
    std::string why;
  };
  // "FILE:LINE: why". Looks for the line from the beginning of the file.
  std::string describe(const Fault& fault) const;

  using OnFault = std::function<void(Fault fault)>;
  // Appends the records that begin in this block.
  Status read_block(size_t block, std::vector<Record>& records, const OnFault& on_fault) const;
  // Asks the system to fetch the block from disk meanwhile.
  void will_read(size_t block) const;
  // For faults of a record that show later: an error, or, where faults are skipped, a call of `on_fault`.
  Status fault(Fault fault, const OnFault& on_fault) const;

 private:
  struct Block {
    uint32_t file;
    uint64_t begin, end;
  };
  class Reading;
  Status add_path(const std::filesystem::path& path);
  Status add_file(const std::filesystem::path& path);

  CorpusOptions options_;
  std::vector<File> files_;
  std::vector<Block> blocks_;
  uint64_t bytes_ = 0;
};

}  // namespace strata
