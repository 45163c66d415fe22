// Byte pair encoding learns by joining the most frequent pair of neighbours, again and again. Each word's pairs are
// counted once; a merge changes the counts of the words that have the pair alone.
#include <algorithm>
#include <queue>
#include <unordered_map>

#include "learn/data/tokenizer_training.h"

namespace strata {
namespace {

using Pair = std::pair<int32_t, int32_t>;
struct PairHash {
  size_t operator()(const Pair& p) const {
    return (static_cast<size_t>(static_cast<uint32_t>(p.first)) * 0x9E3779B97F4A7C15ULL) ^
           static_cast<size_t>(static_cast<uint32_t>(p.second));
  }
};

struct Entry {
  int64_t count = 0;
  std::vector<uint32_t> words;  // that have, or had, the pair; ascending
};

struct Candidate {
  int64_t count;
  Pair pair;
  // Most frequent first; of equals the one whose symbols are older.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Merger {
 public:
  explicit Merger(const WordCounts& words) {
    for (int byte = 0; byte < 256; ++byte) symbol(std::string(1, static_cast<char>(byte)));
    for (const auto& [text, count] : words) {
      std::vector<int32_t> word;
      for (const char c : text) word.push_back(static_cast<uint8_t>(c));
      words_.push_back(std::move(word));
      counts_.push_back(count);
    }
    for (uint32_t w = 0; w < words_.size(); ++w) {
      for (size_t i = 0; i + 1 < words_[w].size(); ++i) add({words_[w][i], words_[w][i + 1]}, w, counts_[w]);
    }
    for (const auto& [pair, entry] : pairs_) queue_.push({entry.count, pair});
  }

  std::vector<std::pair<std::string, std::string>> run(size_t n_tokens, const OnShareDone& on_progress) {
    constexpr size_t kTold = 64;  // merges between two calls
    std::vector<std::pair<std::string, std::string>> merges;
    while (symbols_.size() < 256 + n_tokens && !queue_.empty()) {
      if (on_progress && merges.size() % kTold == 0)
        on_progress(static_cast<double>(symbols_.size() - 256) / static_cast<double>(n_tokens));
      const Candidate best = queue_.top();
      queue_.pop();
      const auto at = pairs_.find(best.pair);
      if (at == pairs_.end() || at->second.count != best.count) continue;  // counted anew since
      if (best.count < 2) break;                                           // once is no pattern
      merges.emplace_back(symbols_[static_cast<size_t>(best.pair.first)],
                          symbols_[static_cast<size_t>(best.pair.second)]);
      const int32_t result = symbol(merges.back().first + merges.back().second);
      const std::vector<uint32_t> touched = std::move(at->second.words);
      pairs_.erase(at);
      changed_.clear();
      for (const uint32_t word : touched) merge(word, best.pair, result);
      for (const Pair& pair : changed_) {
        if (const auto now = pairs_.find(pair); now != pairs_.end()) queue_.push({now->second.count, pair});
      }
    }
    return merges;
  }

 private:
  // Two pairs may join to one text, which is one token.
  int32_t symbol(const std::string& text) {
    const auto [at, is_new] = numbers_.emplace(text, static_cast<int32_t>(symbols_.size()));
    if (is_new) symbols_.push_back(text);
    return at->second;
  }

  void add(const Pair& pair, uint32_t word, int64_t count) {
    Entry& entry = pairs_[pair];
    entry.count += count;
    if (entry.words.empty() || entry.words.back() != word) entry.words.push_back(word);
  }

  void merge(uint32_t w, const Pair& pair, int32_t result) {
    std::vector<int32_t>& word = words_[w];
    const size_t size = word.size();
    size_t to = 0;
    for (size_t i = 0; i < size; ++to) {
      if (i + 1 == size || word[i] != pair.first || word[i + 1] != pair.second) {
        word[to] = word[i++];
        continue;
      }
      if (to > 0) replace({word[to - 1], pair.first}, {word[to - 1], result}, w);
      if (i + 2 < size) replace({pair.second, word[i + 2]}, {result, word[i + 2]}, w);
      word[to] = result;
      i += 2;
    }
    word.resize(to);
  }

  void replace(const Pair& old, const Pair& now, uint32_t word) {
    if (const auto at = pairs_.find(old); at != pairs_.end()) {
      at->second.count -= counts_[word];
      changed_.push_back(old);
    }
    add(now, word, counts_[word]);
    changed_.push_back(now);
  }

  std::vector<std::string> symbols_;
  std::unordered_map<std::string, int32_t> numbers_;
  std::vector<std::vector<int32_t>> words_;
  std::vector<int64_t> counts_;
  std::unordered_map<Pair, Entry, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> changed_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> train_merges(const WordCounts& words, size_t n_tokens,
                                                              const OnShareDone& on_progress) {
  return Merger(words).run(n_tokens, on_progress);
}

}  // namespace strata
