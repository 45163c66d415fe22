#include "learn/data/corpus.h"

#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

namespace strata {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // no part of the text
constexpr size_t kPiece = size_t{32} << 10;                  // bytes of a piece of a file that is one document

bool is_text_file(const fs::path& path) { return path.extension() == ".txt" || path.extension() == ".jsonl"; }

// The line without its end.
std::string_view bare(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

int64_t line_number(const fs::path& path, uint64_t offset) {
  std::ifstream in(path, std::ios::binary);
  std::string buffer(size_t{1} << 20, '\0');
  int64_t line = 1;
  while (offset > 0 && in) {
    in.read(buffer.data(), static_cast<std::streamsize>(std::min<uint64_t>(offset, buffer.size())));
    const auto got = static_cast<size_t>(in.gcount());
    line += std::count(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got), '\n');
    offset -= got;
    if (got == 0) break;
  }
  return line;
}

}  // namespace

// One block being read: its bytes, and more of the file behind them as records need it.
class Corpus::Reading {
 public:
  Reading(const Corpus& corpus, const Block& block, std::vector<Record>& records, const OnFault& on_fault)
      : corpus_(corpus),
        options_(corpus.options_),
        file_(corpus.files_[block.file]),
        block_(block),
        records_(records),
        on_fault_(on_fault),
        in_(file_.path, std::ios::binary) {}

  Status run() {
    if (!in_) return unavailable(file_.path.string() + ": cannot be read");
    // From far enough before the block to see whether a record begins with it.
    const uint64_t before = file_.is_json || !options_.separator ? 1 : options_.separator->size() + 4;
    position_ = block_.begin > before ? block_.begin - before : 0;
    in_.seekg(static_cast<std::streamoff>(position_));
    buffer_.reserve(block_.end - position_);
    if (position_ == 0 && read_more() && buffer_.starts_with(kByteOrderMark)) used_ = kByteOrderMark.size();
    const size_t beginning = used_;
    // Of a block at the beginning of a file the lookback may reach the file's first line, which is whole.
    const bool by_lines = file_.is_json || !options_.separator;
    if (position_ > 0 || (by_lines && block_.begin > 0)) {
      std::string_view partial;
      RETURN_IF_ERROR(next_line(partial));
    }
    if (file_.is_json) return read_json();
    return options_.separator ? read_documents(position_ == 0 && used_ == beginning) : read_pieces();
  }

 private:
  uint64_t at() const { return position_ + used_; }  // of the next line, in the file

  // The next line with its end, valid until the next call; empty at the end of the file. Of one that is too long only
  // the beginning is kept.
  Status next_line(std::string_view& line) {
    size_t searched = used_;
    while (true) {
      const size_t end = buffer_.find('\n', searched);
      if (end != std::string::npos) {
        line = std::string_view(buffer_).substr(used_, end + 1 - used_);
        used_ = end + 1;
        return ok_status();
      }
      if (static_cast<int64_t>(buffer_.size() - used_) > options_.max_record_bytes + 1) return skip_long_line(line);
      buffer_.erase(0, used_);
      position_ += used_;
      used_ = 0;
      searched = buffer_.size();
      if (!read_more()) break;
    }
    if (in_.bad()) return unavailable(file_.path.string() + ": cannot be read");
    line = std::string_view(buffer_).substr(used_);
    used_ = buffer_.size();
    return ok_status();
  }

  bool read_more() {
    const size_t size = buffer_.size();
    const size_t more = std::max<size_t>(size_t{64} << 10, at() < block_.end ? block_.end - at() : 0);
    buffer_.resize(size + std::min<size_t>(more, size_t{1} << 20));
    in_.read(buffer_.data() + size, static_cast<std::streamsize>(buffer_.size() - size));
    buffer_.resize(size + static_cast<size_t>(in_.gcount()));
    return buffer_.size() > size;
  }

  Status skip_long_line(std::string_view& line) {
    buffer_.erase(0, used_);
    position_ += used_;
    used_ = 0;
    long_line_ = buffer_.substr(0, static_cast<size_t>(options_.max_record_bytes) + 1);
    while (true) {
      const size_t end = buffer_.find('\n');
      if (end != std::string::npos) {
        used_ = end + 1;
        break;
      }
      position_ += buffer_.size();
      buffer_.clear();
      if (!read_more()) break;
    }
    line = long_line_;
    return ok_status();
  }

  Status fault(uint64_t offset, std::string why) {
    return corpus_.fault({block_.file, offset, std::move(why)}, on_fault_);
  }

  Status add(std::string_view text, uint64_t offset, bool ends, bool is_chat = false) {
    if (static_cast<int64_t>(text.size()) > options_.max_record_bytes) return fault(offset, "the record is too long");
    if (!simdjson::validate_utf8(text.data(), text.size())) return fault(offset, "not UTF-8 (is this a text file?)");
    if (text.find('\0') != std::string_view::npos) return fault(offset, "has a NUL byte (is this a text file?)");
    if (text.empty()) return ok_status();
    records_.push_back({std::string(text), is_chat, ends, block_.file, offset});
    return ok_status();
  }

  Status read_json() {
    simdjson::dom::parser parser;
    while (at() < block_.end) {
      const uint64_t offset = at();
      std::string_view line;
      RETURN_IF_ERROR(next_line(line));
      if (line.empty()) break;
      line = bare(line);
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      if (static_cast<int64_t>(line.size()) > options_.max_record_bytes) {
        RETURN_IF_ERROR(fault(offset, "the record is too long"));
        continue;
      }
      simdjson::dom::element object;
      simdjson::dom::array messages;
      std::string_view text;
      if (const auto error = parser.parse(line.data(), line.size()).get(object); error != simdjson::SUCCESS) {
        RETURN_IF_ERROR(fault(offset, std::string("not JSON: ") + simdjson::error_message(error)));
      } else if (object[options_.field].get(text) == simdjson::SUCCESS) {
        RETURN_IF_ERROR(add(text, offset, true));
      } else if (object["messages"].get(messages) == simdjson::SUCCESS) {
        RETURN_IF_ERROR(add(simdjson::minify(messages), offset, true, true));
      } else {
        RETURN_IF_ERROR(fault(offset, "no field \"" + options_.field + "\" with a text, and no list of messages"));
      }
    }
    return ok_status();
  }

  Status read_documents(bool after_separator) {
    std::string document;
    uint64_t begin = 0;
    bool open = false;
    while (true) {
      const uint64_t offset = at();
      if (!open && offset >= block_.end) break;
      std::string_view line;
      RETURN_IF_ERROR(next_line(line));
      const bool is_end = line.empty() || bare(line) == *options_.separator;
      if (is_end && open) {
        RETURN_IF_ERROR(add(bare(document), begin, true));
        document.clear();
        open = false;
      }
      if (line.empty()) break;
      if (is_end) {
        after_separator = true;
        continue;
      }
      if (!open && after_separator && offset >= block_.begin) {
        open = true;
        begin = offset;
      }
      after_separator = false;
      if (open && static_cast<int64_t>(document.size()) <= options_.max_record_bytes) document += line;
    }
    return ok_status();
  }

  Status read_pieces() {
    std::string piece;
    uint64_t begin = at();
    while (at() < block_.end) {
      std::string_view line;
      RETURN_IF_ERROR(next_line(line));
      if (line.empty()) break;
      piece += line;
      if (piece.size() < kPiece && at() < block_.end) continue;
      RETURN_IF_ERROR(add(piece, begin, at() >= file_.size));
      piece.clear();
      begin = at();
    }
    return ok_status();
  }

  const Corpus& corpus_;
  const CorpusOptions& options_;
  const File& file_;
  const Block& block_;
  std::vector<Record>& records_;
  const OnFault& on_fault_;
  std::ifstream in_;
  std::string buffer_;     // bytes of the file from position_ on
  std::string long_line_;  // the beginning of one
  uint64_t position_ = 0;
  size_t used_ = 0;  // bytes of the buffer that were given as lines
};

Result<Corpus> Corpus::open(CorpusOptions options) {
  Corpus corpus;
  corpus.options_ = std::move(options);
  for (const fs::path& path : corpus.options_.paths) RETURN_IF_ERROR(corpus.add_path(path));
  if (corpus.bytes_ == 0) {
    std::string names;
    for (const fs::path& path : corpus.options_.paths) names += (names.empty() ? "" : ", ") + path.string();
    return invalid_argument("the corpus is empty: " + (names.empty() ? "no path is given" : names) +
                            " (give text or *.jsonl files, or folders with *.txt and *.jsonl)");
  }
  return corpus;
}

Status Corpus::add_path(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return not_found(path.string() + ": no such file or folder");
  if (!fs::is_directory(path, error)) return add_file(path);
  std::vector<fs::path> found;
  for (auto entry = fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, error);
       entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (error) break;
    if (entry->is_regular_file(error) && is_text_file(entry->path())) found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  for (const fs::path& file : found) RETURN_IF_ERROR(add_file(file));
  return ok_status();
}

Status Corpus::add_file(const fs::path& path) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error || !std::ifstream(path, std::ios::binary)) return unavailable(path.string() + ": cannot be read");
  const auto file = static_cast<uint32_t>(files_.size());
  files_.push_back({path, size, path.extension() == ".jsonl"});
  bytes_ += size;
  const auto step = static_cast<uint64_t>(options_.block_bytes);
  for (uint64_t begin = 0; begin < size; begin += step) blocks_.push_back({file, begin, std::min(size, begin + step)});
  return ok_status();
}

std::string Corpus::describe(const Fault& fault) const {
  const fs::path& path = files_[fault.file].path;
  return path.string() + ":" + std::to_string(line_number(path, fault.offset)) + ": " + fault.why;
}

void Corpus::will_read(size_t block) const {
  const Block& b = blocks_[block];
  const int file = ::open(files_[b.file].path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;  // read_block() says why
  ::posix_fadvise(file, static_cast<off_t>(b.begin), static_cast<off_t>(b.end - b.begin), POSIX_FADV_WILLNEED);
  ::close(file);
}

Status Corpus::fault(Fault fault, const OnFault& on_fault) const {
  if (!options_.skips_faults) {
    return invalid_argument(describe(fault) + " (repair it, or say bad_records: skip in the recipe's data section)");
  }
  on_fault(std::move(fault));
  return ok_status();
}

Status Corpus::read_block(size_t block, std::vector<Record>& records, const OnFault& on_fault) const {
  return Reading(*this, blocks_[block], records, on_fault).run();
}

}  // namespace strata
