#include "learn/data/word_counts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/log.h"

namespace strata {
namespace {

using Counts = std::unordered_map<std::string, int64_t>;

// The first `most` bytes of a word, or some fewer: whole characters.
std::string_view beginning(std::string_view word, size_t most) {
  if (word.size() <= most) return word;
  const auto goes_on = [&](size_t at) { return (static_cast<uint8_t>(word[at]) & 0xC0) == 0x80; };
  while (most > 1 && goes_on(most)) --most;
  return word.substr(0, most);
}

// The words of texts.
struct WordCounter {
  const SplitPattern& pattern;
  size_t most;  // bytes of a word

  void count(std::string_view text, Counts& counts) const {
    std::vector<Span> words;
    pattern.find_all(text, {0, text.size()}, words);
    for (const Span& word : words) {
      for (std::string_view left = text.substr(word.begin, word.end - word.begin); !left.empty();) {
        const std::string_view piece = beginning(left, most);
        ++counts[std::string(piece)];
        left.remove_prefix(piece.size());
      }
    }
  }

  // What is said in a chat: its words, without those of the template.
  void count_chat(const std::string& messages, Counts& counts) const {
    for (const nlohmann::json& message : nlohmann::json::parse(messages, nullptr, false)) {
      if (!message.is_object() || !message.contains("content") || !message["content"].is_string()) continue;
      count(message["content"].get_ref<const std::string&>(), counts);
    }
  }
};

// Forgets the rarest words until half of `most` may come anew.
void forget_rarest(Counts& counts, size_t most) {
  for (int64_t least = 1; counts.size() > most / 2; ++least) {
    std::erase_if(counts, [&](const auto& word) { return word.second <= least; });
  }
}

}  // namespace

Result<WordCounts> count_words(const Corpus& corpus, const SplitPattern& pattern, ThreadPool& pool,
                               const WordCountOptions& options, const OnShareDone& on_progress) {
  const WordCounter counter{pattern, options.max_word_bytes};
  const uint64_t parts = std::max<uint64_t>(1, (corpus.bytes() + options.max_bytes - 1) / options.max_bytes);
  const auto at_once = static_cast<size_t>(8);  // fixed: what is forgotten must not depend on the threads
  std::vector<size_t> chosen;
  for (size_t block = 0; block < corpus.n_blocks(); block += parts) chosen.push_back(block);
  Counts all;
  for (size_t first = 0; first < chosen.size(); first += at_once) {
    const size_t n = std::min(at_once, chosen.size() - first);
    std::vector<Counts> counts(n);
    std::vector<Status> failures(n);
    pool.parallel_for(static_cast<int64_t>(n), 1, [&](int64_t begin, int64_t end, int) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        std::vector<Record> records;
        failures[i] = corpus.read_block(chosen[first + i], records, [](const Corpus::Fault&) {});
        for (const Record& record : records)
          record.is_chat ? counter.count_chat(record.text, counts[i]) : counter.count(record.text, counts[i]);
      }
    });
    for (size_t i = 0; i < n; ++i) {
      RETURN_IF_ERROR(failures[i]);
      for (const auto& [word, times] : counts[i]) all[word] += times;
    }
    if (all.size() > options.max_words) forget_rarest(all, options.max_words);
    if (on_progress) on_progress(static_cast<double>(first + n) / static_cast<double>(chosen.size()));
  }
  if (all.empty()) return invalid_argument("the corpus has no usable text to train a tokenizer on");
  WordCounts words(all.begin(), all.end());
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return words;
}

}  // namespace strata
