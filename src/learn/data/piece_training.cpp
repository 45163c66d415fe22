// A unigram language model learns by expectation and maximization from far too many pieces, of which those that explain
// the words least are dropped until the wanted number is left (https://arxiv.org/abs/1804.10959, section 3.2).
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "learn/data/tokenizer_training.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

constexpr size_t kMaxPieceCharacters = 16;
constexpr size_t kSeedWords = 200000;  // most frequent words, whose parts are the first pieces
constexpr size_t kSeedPieces = 1000000;
constexpr double kKept = 0.75;  // of the pieces in a round of dropping
constexpr int kRounds = 2;      // of expectation and maximization between
constexpr int64_t kWordBlock = 4096;

struct Piece {
  std::string text;
  double score = 0;  // log-probability
  bool character = false;
};

// Where characters begin, and the end.
std::vector<size_t> borders(std::string_view text) {
  std::vector<size_t> at;
  for (size_t i = 0; i < text.size(); i += code_point_at(text, i).length) at.push_back(i);
  at.push_back(text.size());
  return at;
}

double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == -std::numeric_limits<double>::infinity() ? a : a + std::log1p(std::exp(b - a));
}

// The derivative of log gamma: what maximization uses in the place of log, so that rare pieces get less.
double digamma(double x) {
  double result = 0;
  for (; x < 7; x += 1) result -= 1 / x;
  const double inverse = 1 / (x * x);
  return result + std::log(x) - 0.5 / x - inverse * (1.0 / 12 - inverse * (1.0 / 120 - inverse / 252));
}

class PieceTrainer {
 public:
  PieceTrainer(const WordCounts& words, ThreadPool& pool) : words_(words), pool_(pool) { seed(); }

  std::vector<std::pair<std::string, double>> run(size_t n_pieces, const OnShareDone& on_progress) {
    const auto steps = [&](size_t from) { return std::log(static_cast<double>(from) / static_cast<double>(n_pieces)); };
    const double all = pieces_.size() > n_pieces ? steps(pieces_.size()) : 1;
    while (true) {
      if (on_progress && pieces_.size() > n_pieces) on_progress(1 - steps(pieces_.size()) / all);
      for (int round = 0; round < kRounds; ++round) maximize(expect());
      if (pieces_.size() <= n_pieces) break;
      drop(std::max(n_pieces, static_cast<size_t>(static_cast<double>(pieces_.size()) * kKept)));
    }
    std::sort(pieces_.begin(), pieces_.end(),
              [](const Piece& a, const Piece& b) { return a.score != b.score ? a.score > b.score : a.text < b.text; });
    std::vector<std::pair<std::string, double>> result;
    for (const Piece& piece : pieces_) result.emplace_back(piece.text, piece.score);
    return result;
  }

 private:
  // All characters, and the parts of frequent words that occur twice, by how much text they cover.
  void seed() {
    std::unordered_map<std::string, int64_t> counts;
    for (size_t w = 0; w < words_.size(); ++w) {
      const std::string_view text = words_[w].first;
      const std::vector<size_t> at = borders(text);
      const size_t longest = w < kSeedWords ? kMaxPieceCharacters : 1;
      for (size_t i = 0; i + 1 < at.size(); ++i) {
        for (size_t j = i + 1; j < at.size() && j - i <= longest; ++j)
          counts[std::string(text.substr(at[i], at[j] - at[i]))] += words_[w].second;
      }
    }
    struct Seed {
      std::string text;
      int64_t covered;
      bool character;
    };
    std::vector<Seed> seeds;
    for (auto& [text, count] : counts) {
      const bool character = borders(text).size() == 2;
      if (character || count > 1)
        seeds.push_back({text, count * static_cast<int64_t>(borders(text).size() - 1), character});
    }
    std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) {
      if (a.character != b.character) return a.character;
      return a.covered != b.covered ? a.covered > b.covered : a.text < b.text;
    });
    if (seeds.size() > kSeedPieces) seeds.resize(kSeedPieces);
    double total = 0;
    for (const Seed& s : seeds) total += static_cast<double>(s.covered);
    for (Seed& s : seeds)
      pieces_.push_back({std::move(s.text), std::log(static_cast<double>(s.covered) / total), s.character});
    index();
  }

  void index() {
    numbers_.clear();
    for (size_t i = 0; i < pieces_.size(); ++i) numbers_.emplace(pieces_[i].text, static_cast<int32_t>(i));
  }

  // Calls f(from, to, piece) for every piece that lies in the text, by where it begins. Positions count characters.
  template <class F>
  void each_piece(std::string_view text, const std::vector<size_t>& at, const F& f) const {
    for (size_t i = 0; i + 1 < at.size(); ++i) {
      for (size_t j = i + 1; j < at.size() && j - i <= kMaxPieceCharacters; ++j) {
        const auto found = numbers_.find(text.substr(at[i], at[j] - at[i]));
        if (found != numbers_.end()) f(i, j, found->second);
      }
    }
  }

  // How often each piece is expected in the words: probabilities of all ways to cut them. Blocks of words in their
  // order.
  std::vector<double> expect() const {
    const auto n = static_cast<int64_t>(words_.size());
    const int64_t blocks = (n + kWordBlock - 1) / kWordBlock;
    std::vector<double> total(pieces_.size());
    constexpr int64_t kAtOnce = 8;  // blocks that are added up together: fixed, so that threads change no bit
    for (int64_t first = 0; first < blocks; first += kAtOnce) {
      std::vector<std::vector<std::pair<int32_t, double>>> found(kAtOnce);
      pool_.parallel_for(std::min(kAtOnce, blocks - first), 1, [&](int64_t begin, int64_t end, int) {
        for (int64_t b = begin; b < end; ++b) {
          const int64_t from = (first + b) * kWordBlock;
          for (int64_t w = from; w < std::min(n, from + kWordBlock); ++w)
            expect_word(words_[static_cast<size_t>(w)], found[static_cast<size_t>(b)]);
        }
      });
      for (const auto& block : found) {
        for (const auto& [piece, count] : block) total[static_cast<size_t>(piece)] += count;
      }
    }
    return total;
  }

  void expect_word(const std::pair<std::string, int64_t>& word, std::vector<std::pair<int32_t, double>>& found) const {
    constexpr double kNever = -std::numeric_limits<double>::infinity();
    const std::vector<size_t> at = borders(word.first);
    std::vector<double> before(at.size(), kNever), after(at.size(), kNever);
    struct Arc {
      size_t from, to;
      int32_t piece;
    };
    std::vector<Arc> arcs;
    each_piece(word.first, at, [&](size_t i, size_t j, int32_t piece) { arcs.push_back({i, j, piece}); });
    before[0] = after.back() = 0;
    for (const Arc& a : arcs) before[a.to] = log_add(before[a.to], before[a.from] + score(a.piece));
    for (size_t i = arcs.size(); i-- > 0;)
      after[arcs[i].from] = log_add(after[arcs[i].from], after[arcs[i].to] + score(arcs[i].piece));
    if (before.back() == kNever) return;  // a character that is no piece
    for (const Arc& a : arcs) {
      const double p = std::exp(before[a.from] + score(a.piece) + after[a.to] - before.back());
      if (p > 1e-12) found.emplace_back(a.piece, p * static_cast<double>(word.second));
    }
  }

  double score(int32_t piece) const { return pieces_[static_cast<size_t>(piece)].score; }

  void maximize(const std::vector<double>& expected) {
    constexpr double kLeast = 0.5;  // expected less often: dropped
    std::vector<Piece> kept;
    double total = 0;
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (!pieces_[i].character && expected[i] < kLeast) continue;
      kept.push_back(std::move(pieces_[i]));
      kept.back().score = std::max(expected[i], kLeast);
      total += kept.back().score;
    }
    for (Piece& piece : kept) piece.score = digamma(piece.score) - digamma(total);
    pieces_ = std::move(kept);
    index();
  }

  // Keeps the characters and the pieces whose loss would cost most: their expected count times how much worse the best
  // way to spell them with others is.
  void drop(size_t n_kept) {
    const std::vector<double> expected = expect();
    std::vector<std::pair<double, size_t>> cost(pieces_.size());
    pool_.parallel_for(static_cast<int64_t>(pieces_.size()), 256, [&](int64_t begin, int64_t end, int) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        const double infinite = std::numeric_limits<double>::infinity();
        cost[i] = {pieces_[i].character ? infinite : expected[i] * (pieces_[i].score - best_other(i)), i};
      }
    });
    std::sort(cost.begin(), cost.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    cost.resize(n_kept);
    std::sort(cost.begin(), cost.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    std::vector<Piece> kept;
    for (const auto& each : cost) kept.push_back(std::move(pieces_[each.second]));
    pieces_ = std::move(kept);
    index();
  }

  double best_other(size_t piece) const {
    const std::string& text = pieces_[piece].text;
    const std::vector<size_t> at = borders(text);
    std::vector<double> best(at.size(), -std::numeric_limits<double>::infinity());
    best[0] = 0;
    each_piece(text, at, [&](size_t i, size_t j, int32_t other) {
      if (static_cast<size_t>(other) != piece) best[j] = std::max(best[j], best[i] + score(other));
    });
    return best.back();
  }

  const WordCounts& words_;
  ThreadPool& pool_;
  std::vector<Piece> pieces_;
  std::unordered_map<std::string_view, int32_t> numbers_;  // into pieces_
};

}  // namespace

std::vector<std::pair<std::string, double>> train_pieces(const WordCounts& words, size_t n_pieces, ThreadPool& pool,
                                                         const OnShareDone& on_progress) {
  return PieceTrainer(words, pool).run(n_pieces, on_progress);
}

}  // namespace strata
