#include "learn/data/tokenizer_training.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "model/text/load_tokenizer.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

TEST(MergeTraining, JoinsTheMostFrequentPairFirst) {
  const WordCounts words{{"abab", 5}, {"ab", 4}, {"bc", 3}};
  const auto merges = train_merges(words, 10);
  // a b occurs 14 times; then (ab ab) 5; then (b c) 3. Nothing else occurs.
  const std::vector<std::pair<std::string, std::string>> want{{"a", "b"}, {"ab", "ab"}, {"b", "c"}};
  EXPECT_EQ(merges, want);
  EXPECT_EQ(train_merges({{"aaaa", 2}}, 5),
            (std::vector<std::pair<std::string, std::string>>{{"a", "a"}, {"aa", "aa"}}));
}

// The same merges found the slow way: all pairs counted anew each time.
std::vector<std::pair<std::string, std::string>> slow_merges(const WordCounts& words, size_t n) {
  std::vector<std::pair<std::vector<std::string>, int64_t>> cut;
  std::map<std::string, int> age;
  for (int byte = 0; byte < 256; ++byte) age.emplace(std::string(1, static_cast<char>(byte)), byte);
  for (const auto& [text, count] : words) {
    cut.push_back({{}, count});
    for (const char c : text) cut.back().first.emplace_back(1, c);
  }
  std::vector<std::pair<std::string, std::string>> merges;
  while (age.size() < 256 + n) {
    std::map<std::pair<int, int>, int64_t> counts;
    std::map<int, std::string> text_of;
    for (const auto& [text, number] : age) text_of[number] = text;
    for (const auto& [word, count] : cut) {
      for (size_t i = 0; i + 1 < word.size(); ++i) counts[{age[word[i]], age[word[i + 1]]}] += count;
    }
    std::pair<int, int> best;
    int64_t most = 1;
    for (const auto& [pair, count] : counts) {
      if (count > most) {
        most = count;
        best = pair;
      }
    }
    if (most < 2) break;
    const std::string left = text_of[best.first], right = text_of[best.second];
    merges.emplace_back(left, right);
    age.emplace(left + right, static_cast<int>(age.size()));
    for (auto& [word, count] : cut) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != left || word[i + 1] != right) continue;
        word[i] += right;
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return merges;
}

TEST(MergeTraining, IsTheSlowWaysResult) {
  WordCounts words;
  uint32_t state = 1;
  for (int w = 0; w < 200; ++w) {
    std::string text;
    for (int i = 0; i < 3 + w % 9; ++i) {
      state = state * 1664525 + 1013904223;
      text += static_cast<char>('a' + (state >> 28) % 5);
    }
    words.emplace_back(text, 1 + w % 7);
  }
  EXPECT_EQ(train_merges(words, 120), slow_merges(words, 120));
}

TEST(MergeTraining, IsTheSlowWaysResultWithinLongWords) {
  WordCounts words{{std::string(301, 'a'), 3}, {"", 2}};
  uint32_t state = 7;
  for (int i = 0; i < 400; ++i) {
    state = state * 1664525 + 1013904223;
    words[1].first += static_cast<char>('a' + (state >> 30) % 2);
  }
  std::vector<double> shares;
  EXPECT_EQ(train_merges(words, 60, [&](double share) { shares.push_back(share); }), slow_merges(words, 60));
  ASSERT_FALSE(shares.empty());
  EXPECT_EQ(shares.front(), 0);
}

// What has no space is counted in words of whole characters, as long as may be.
TEST(WordCounting, CutsEndlessWords) {
  const fs::path path = fs::path(testing::TempDir()) / "endless_word.txt";
  std::string text = "a";
  for (int i = 0; i < 1000; ++i) text += "\xC3\xA9";  // é
  std::ofstream(path) << text << " end";
  CorpusOptions options;
  options.paths = {path};
  const Corpus corpus = *Corpus::open(options);
  ThreadPool pool(2);
  const SplitPattern pattern = *SplitPattern::regex(R"(\S+)");
  std::map<std::string, int64_t> whole, cut;
  const auto uncut = count_words(corpus, pattern, pool, {.max_word_bytes = 4096});
  for (const auto& [word, count] : *uncut) whole[word] = count;
  EXPECT_EQ(whole, (std::map<std::string, int64_t>{{text, 1}, {"end", 1}}));
  std::vector<double> shares;
  const auto counted =
      count_words(corpus, pattern, pool, {.max_word_bytes = 10}, [&](double share) { shares.push_back(share); });
  for (const auto& [word, count] : *counted) cut[word] = count;
  const auto repeated = [](int n) {
    std::string word;
    for (int i = 0; i < n; ++i) word += "\xC3\xA9";
    return word;
  };
  // 10 bytes end in the middle of a character behind the "a".
  EXPECT_EQ(cut, (std::map<std::string, int64_t>{{"a" + repeated(4), 1}, {repeated(5), 199}, {repeated(1), 1}, {"end", 1}}));
  EXPECT_EQ(shares, std::vector<double>{1});
  fs::remove(path);
}

TEST(PieceTraining, FindsTheWordsOfATextAndKeepsItsCharacters) {
  ThreadPool pool(2), one(1);
  const WordCounts words{{"_hello", 50}, {"_help", 40}, {"_held", 30}, {"_world", 25}, {"_word", 20}, {"_zq", 1}};
  const auto pieces = train_pieces(words, 16, pool);
  EXPECT_EQ(pieces, train_pieces(words, 16, one));
  std::map<std::string, double> score(pieces.begin(), pieces.end());
  EXPECT_EQ(score.size(), pieces.size());
  EXPECT_LE(pieces.size(), 16u);
  for (const char* character : {"_", "h", "e", "l", "o", "p", "d", "w", "r", "z", "q"})
    EXPECT_TRUE(score.contains(character)) << character;
  EXPECT_TRUE(score.contains("_hel") || score.contains("_hello")) << pieces[0].first;
  double sum = 0;
  for (const auto& [text, log_probability] : pieces) sum += std::exp(log_probability);
  EXPECT_LE(sum, 1.001);
}

class TokenizerTrainingTest : public testing::TestWithParam<TokenizerKind> {
 protected:
  void SetUp() override {
    path_ = fs::path(testing::TempDir()) / ("tokenizer_training_" + std::to_string(static_cast<int>(GetParam())) + "_" +
                                            testing::UnitTest::GetInstance()->current_test_info()->name()[0] + ".txt");
    std::ofstream out(path_);
    for (int i = 0; i < 60; ++i)
      out << "Once upon a time there was a king " << i << " who said: hello, world! Grüße, 世界.\n\n";
  }
  void TearDown() override { fs::remove(path_); }
  fs::path path_;
};

TEST_P(TokenizerTrainingTest, SpecialTokensAreEachTheirOwn) {
  ThreadPool pool(1);
  const Corpus corpus = *Corpus::open({.paths = {path_}});
  for (const std::vector<std::string>& special :
       std::vector<std::vector<std::string>>{{"<|endoftext|>"}, {"<|user|>", "<|user|>"}, {""}, {"a"}}) {
    const auto trained = train_tokenizer(corpus, {.kind = GetParam(), .vocab = 310, .special_tokens = special}, pool);
    ASSERT_FALSE(trained.ok()) << special[0];
    EXPECT_NE(trained.status().message().find("the special token \"" + special[0]) == std::string::npos,
              trained.status().message().find("a special token is empty") == std::string::npos)
        << trained.status().message();
  }
}

TEST_P(TokenizerTrainingTest, GivesAFileThatReadsBackEveryText) {
  ThreadPool pool(2), one(1);
  const Corpus corpus = *Corpus::open({.paths = {path_}});
  const TokenizerTraining options{.kind = GetParam(), .vocab = 310, .special_tokens = {"<|user|>"}};
  const Result<TrainedTokenizer> trained = train_tokenizer(corpus, options, pool);
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  EXPECT_EQ(trained->tokenizer_json, train_tokenizer(corpus, options, one)->tokenizer_json);
  const auto tokenizer = tokenizer_from_json(trained->tokenizer_json, trained->tokenizer_config);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->vocab_size(), 310);
  EXPECT_EQ((*tokenizer)->eos(), std::optional<TokenId>(0));
  EXPECT_EQ((*tokenizer)->find("<|user|>"), std::optional<TokenId>(1));
  for (const std::string text :
       {"Once upon a time", " two  spaces\n\nand\ttabs ", "never seen: \xF0\x9F\x98\x80 Ω", "x"}) {
    const std::vector<TokenId> ids = (*tokenizer)->encode(text);
    EXPECT_EQ((*tokenizer)->decode(ids), text);
  }
  EXPECT_LE((*tokenizer)->encode("Once upon a time there was a king").size(), 12u);
}

TEST_P(TokenizerTrainingTest, PutsTheBeginTokenBeforeTexts) {
  ThreadPool pool(2);
  const Corpus corpus = *Corpus::open({.paths = {path_}});
  const TokenizerTraining options{
      .kind = GetParam(), .vocab = 310, .begin_token = "<s>", .special_tokens = {"<|user|>"}};
  const Result<TrainedTokenizer> trained = train_tokenizer(corpus, options, pool);
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  const auto tokenizer = tokenizer_from_json(trained->tokenizer_json, trained->tokenizer_config);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->bos(), std::optional<TokenId>(1));
  EXPECT_EQ((*tokenizer)->find("<|user|>"), std::optional<TokenId>(2));
  const std::vector<TokenId> plain = (*tokenizer)->encode("a king", {false, false});
  std::vector<TokenId> framed{1};
  framed.insert(framed.end(), plain.begin(), plain.end());
  EXPECT_EQ((*tokenizer)->encode("a king"), framed);
  EXPECT_EQ((*tokenizer)->decode(framed), "a king");
}

TEST_P(TokenizerTrainingTest, SaysWhatAVocabularyNeeds) {
  ThreadPool pool(1);
  const Corpus corpus = *Corpus::open({.paths = {path_}});
  const auto small = train_tokenizer(corpus, {.kind = GetParam(), .vocab = 200}, pool);
  ASSERT_FALSE(small.ok());
  EXPECT_NE(small.status().message().find("at least"), std::string::npos) << small.status().message();
  const auto large = train_tokenizer(corpus, {.kind = GetParam(), .vocab = 50000}, pool);
  ASSERT_FALSE(large.ok());
  EXPECT_NE(large.status().message().find("give more text"), std::string::npos) << large.status().message();
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerTrainingTest, testing::Values(TokenizerKind::kBpe, TokenizerKind::kUnigram),
                         [](const auto& tested) { return tested.param == TokenizerKind::kBpe ? "Bpe" : "Unigram"; });

}  // namespace
}  // namespace strata
