// One epoch of a corpus as training reads it: shuffled, tokenized and packed, with nothing computed in between. Prints
// MB/s of text and the most memory that was resident.
//
//     reader_bench make FOLDER GIGABYTES            generates a corpus
//     reader_bench read TOKENIZER THREADS PATH...   TOKENIZER: a folder that has a tokenizer.json
//
// The generated text has 200,000 words of random syllables, some common, most rare (Zipf's law), in documents of a
// sentence to some pages; half of its files are text, half JSON lines.
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "learn/data/packed_batch.h"
#include "model/text/load_tokenizer.h"

namespace strata {
namespace {

constexpr int64_t kBatchTokens = 4096;
constexpr int64_t kContext = 256;

namespace fs = std::filesystem;

class TextGenerator {
 public:
  TextGenerator() {
    constexpr std::string_view kStarts[] = {"t", "s", "r", "n", "l",  "m",  "d", "h",
                                            "w", "p", "b", "f", "st", "th", "k"};
    constexpr std::string_view kVowels[] = {"e", "a", "o", "i", "u", "ea", "ou"};
    constexpr std::string_view kEnds[] = {"", "", "", "", "n", "r", "s", "ng", "l", "ck"};
    for (std::string& word : words_) {
      for (size_t syllables = 1 + below(2) + below(3); syllables > 0; --syllables)
        for (const auto part : {pick(kStarts), pick(kVowels), pick(kEnds)}) word += part;
    }
  }

  // Lines of some sentences each, without a line's end after the last.
  std::string document() {
    std::string text;
    const size_t n_sentences = 1 + below(16) * below(16);
    for (size_t i = 0; i < n_sentences; ++i) {
      const size_t begin = text.size();
      const size_t n_words = 4 + below(16);
      for (size_t j = 0; j < n_words; ++j) text += (j == 0 ? "" : j == 9 ? ", " : " ") + word();
      text[begin] = static_cast<char>(text[begin] - 'a' + 'A');
      text += i + 1 == n_sentences ? "." : i % 5 == 4 ? ".\n" : ". ";
    }
    return text;
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  // The first ones more often.
  template <size_t N>
  std::string_view pick(const std::string_view (&list)[N]) {
    return list[below(N) * below(N) / N];
  }
  // The word of rank r with a chance of about 1 / r.
  const std::string& word() {
    const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
    return words_[static_cast<size_t>(std::pow(static_cast<double>(words_.size()), uniform)) - 1];
  }

  std::mt19937_64 random_{1};
  std::vector<std::string> words_ = std::vector<std::string>(200'000);
};

Status make(const fs::path& folder, double gigabytes) {
  constexpr uint64_t kFileBytes = uint64_t{256} << 20;
  std::error_code error;
  fs::create_directories(folder, error);
  const auto wanted = static_cast<uint64_t>(gigabytes * 1e9);
  TextGenerator generator;
  uint64_t written = 0;
  for (int file = 0; written < wanted; ++file) {
    const bool is_json = file % 2 == 1;
    char name[32];
    std::snprintf(name, sizeof(name), "%05d.%s", file, is_json ? "jsonl" : "txt");
    std::ofstream out(folder / name, std::ios::binary);
    uint64_t in_file = 0;
    while (in_file < kFileBytes && written + in_file < wanted) {
      std::string text = generator.document();
      if (is_json) {
        for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\n");
        text = R"({"text": ")" + text + "\"}\n";
      } else {
        text += "\n\n";
      }
      out << text;
      in_file += text.size();
    }
    if (!out) return unavailable((folder / name).string() + ": cannot be written");
    written += in_file;
  }
  return ok_status();
}

int64_t peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

Status read(const char* tokenizer_folder, int threads, CorpusOptions options) {
  ThreadPool pool(threads);
  ASSIGN_OR_RETURN(const auto tokenizer, tokenizer_from_folder(tokenizer_folder));
  const int64_t before = peak_kib();
  const TimePoint start = steady_clock().now();
  ASSIGN_OR_RETURN(const Corpus corpus, Corpus::open(std::move(options)));
  ASSIGN_OR_RETURN(DocumentStream stream, DocumentStream::open(corpus, *tokenizer, pool, {.seed = 1}));
  int64_t tokens = 0;
  uint64_t sum = 0;  // of the ids, each times its place: equal when the order is
  while (stream.position().epoch == 0) {
    PackedBatch packed;
    RETURN_IF_ERROR(packed.fill(stream, kBatchTokens, kContext, true));
    for (const int32_t id : packed.batch().ids) sum += static_cast<uint64_t>(id) * static_cast<uint64_t>(++tokens);
  }
  const double seconds = to_seconds(steady_clock().now() - start);
  const double megabytes = static_cast<double>(corpus.bytes()) / 1e6;
  std::printf(
      "%.1f MB in %zu files, %lld tokens (sum %llu): %.1f s, %.1f MB/s, %.2f M tokens/s; resident at most %.1f MB, "
      "%.1f "
      "before reading\n",
      megabytes, corpus.files().size(), static_cast<long long>(tokens), static_cast<unsigned long long>(sum), seconds,
      megabytes / seconds, static_cast<double>(tokens) / 1e6 / seconds, static_cast<double>(peak_kib()) * 1024 / 1e6,
      static_cast<double>(before) * 1024 / 1e6);
  return ok_status();
}

Status run(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "make") == 0) return make(argv[2], std::atof(argv[3]));
  if (argc < 5 || std::strcmp(argv[1], "read") != 0)
    return invalid_argument("usage: reader_bench make FOLDER GIGABYTES | read TOKENIZER THREADS PATH...");
  CorpusOptions options;
  for (int i = 4; i < argc; ++i) options.paths.emplace_back(argv[i]);
  return read(argv[2], std::atoi(argv[3]), std::move(options));
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  const strata::Status status = strata::run(argc, argv);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
