// The fast ways of BpeModel (cutting, known words, the queue for long words) against the plain definition.
#include "model/text/bpe_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace strata {
namespace {

struct Case {
  BpeSpec spec;
  std::vector<std::string> texts;
};

const std::vector<std::string> kLetters = {"a", "b", "c", "é", "▁"};

// Letters, and tokens joined from earlier ones at random; merges by rank in that order.
Case random_ranked_case(std::mt19937& random) {
  Case made;
  made.texts = kLetters;
  std::map<std::string, TokenId> ids;
  for (size_t i = 0; i < kLetters.size(); ++i) ids[kLetters[i]] = static_cast<TokenId>(i);
  for (int round = 0; round < 40; ++round) {
    const auto left = static_cast<TokenId>(random() % made.texts.size());
    const auto right = static_cast<TokenId>(random() % made.texts.size());
    const std::string joined = made.texts[left] + made.texts[right];
    if (joined.size() > 24) continue;
    const auto [entry, is_new] = ids.emplace(joined, static_cast<TokenId>(made.texts.size()));
    if (is_new) made.texts.push_back(joined);
    made.spec.merges.push_back({left, right, entry->second});
  }
  std::shuffle(made.spec.merges.begin(), made.spec.merges.end(), random);
  return made;
}

// Random strings as tokens, with scores among which many are equal; not every letter is a token.
Case random_scored_case(std::mt19937& random) {
  Case made;
  std::map<std::string, TokenId> ids;
  for (int round = 0; round < 60; ++round) {
    std::string text;
    for (size_t n = 1 + random() % 5; n > 0; --n) text += kLetters[random() % kLetters.size()];
    if (!ids.emplace(text, static_cast<TokenId>(made.texts.size())).second) continue;
    made.texts.push_back(text);
    made.spec.scores.push_back(static_cast<float>(random() % 8));
  }
  return made;
}

std::vector<std::string> plain_merge(std::vector<std::string> parts, const Case& made) {
  std::map<std::string, TokenId> ids;
  for (size_t i = 0; i < made.texts.size(); ++i) ids[made.texts[i]] = static_cast<TokenId>(i);
  std::map<std::pair<std::string, std::string>, double> order;
  for (size_t rank = 0; rank < made.spec.merges.size(); ++rank) {
    const MergeRule& rule = made.spec.merges[rank];
    order[{made.texts[rule.left], made.texts[rule.right]}] = static_cast<double>(rank);
  }
  for (;;) {
    double best = 1e9;
    size_t where = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      double rank = 1e9;
      if (!made.spec.scores.empty()) {
        const auto id = ids.find(parts[i] + parts[i + 1]);
        if (id != ids.end()) rank = -made.spec.scores[id->second];
      } else if (const auto entry = order.find({parts[i], parts[i + 1]}); entry != order.end()) {
        rank = entry->second;
      }
      if (rank < best) {
        best = rank;
        where = i;
      }
    }
    if (best == 1e9) return parts;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(where) + 1);
  }
}

void compare(const Case& made, std::mt19937& random, size_t longest) {
  std::array<TokenId, 256> no_bytes;
  no_bytes.fill(-1);
  Case with_unknown = made;
  const auto unknown = static_cast<TokenId>(with_unknown.texts.size());
  with_unknown.texts.emplace_back();
  if (!with_unknown.spec.scores.empty()) with_unknown.spec.scores.push_back(0);
  with_unknown.spec.unknown = unknown;
  const BpeModel model(with_unknown.spec, with_unknown.texts, no_bytes);
  std::vector<std::string> letters;
  std::string word;
  const size_t variety = 1 + random() % kLetters.size();
  for (size_t n = 1 + random() % longest; n > 0; --n) {
    letters.push_back(kLetters[random() % variety]);
    word += letters.back();
  }
  std::vector<TokenId> expected;
  for (const std::string& part : plain_merge(letters, made)) {
    const auto place = std::find(made.texts.begin(), made.texts.end(), part);
    expected.push_back(place == made.texts.end() ? unknown : static_cast<TokenId>(place - made.texts.begin()));
  }
  std::vector<TokenId> ids;
  model.encode(word, {{0, word.size()}}, ids);
  ASSERT_EQ(ids, expected) << word;
}

TEST(BpeModel, EqualsPlainMergingByRank) {
  std::mt19937 random(3);
  for (int round = 0; round < 1500; ++round) compare(random_ranked_case(random), random, round % 10 == 0 ? 300 : 20);
}

TEST(BpeModel, EqualsPlainMergingByScore) {
  std::mt19937 random(4);
  for (int round = 0; round < 1500; ++round) compare(random_scored_case(random), random, round % 10 == 0 ? 300 : 20);
}

}  // namespace
}  // namespace strata
