#include "model/text/split_pattern.h"

#include <gtest/gtest.h>

#include <random>

namespace strata {
namespace {

std::vector<std::pair<size_t, size_t>> find(const SplitPattern& pattern, std::string_view text, Span within) {
  std::vector<Span> matches;
  pattern.find_all(text, within, matches);
  std::vector<std::pair<size_t, size_t>> pairs;
  for (const Span& match : matches) pairs.emplace_back(match.begin, match.end);
  return pairs;
}
using Pairs = std::vector<std::pair<size_t, size_t>>;

TEST(SplitPattern, LooksOnlyInside) {
  const auto digits = SplitPattern::regex(R"(\p{N}+(?!\p{N}))");
  ASSERT_TRUE(digits.ok());
  EXPECT_EQ(find(*digits, "12345", {1, 3}), (Pairs{{1, 3}})) << "what follows is as if it were not there";
  EXPECT_EQ(find(SplitPattern::literal("ab"), "ababab", {1, 6}), (Pairs{{2, 4}, {4, 6}}));
  EXPECT_EQ(find(SplitPattern::literal("ab"), "abab", {0, 3}), (Pairs{{0, 2}}));
}

TEST(SplitPattern, EmptyMatchesSeparate) {
  const auto groups = SplitPattern::regex(R"((?=(\d{3})+(?!\d)))");
  ASSERT_TRUE(groups.ok());
  EXPECT_EQ(find(*groups, "1234567", {0, 7}), (Pairs{{1, 1}, {4, 4}}));
}

TEST(SplitPattern, GroupsOfDigitsAsTheExpressionsSay) {
  std::mt19937 random(3);
  const std::vector<std::string> parts = {"1", "22", "333", "\u0663", "a", "_", " ", "\u00BD", "\u0301", "\u200D", "."};
  for (const char* expression : {R"(\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})))", R"(\d{1,3}(?=(?:\d{3})*(?!\d)))",
                                 R"(\d{1,3}(?=(?:\d{3})*\b))", R"((?=(\d{3})+(?!\d)))"}) {
    const auto groups = SplitPattern::regex(expression);
    const auto reference = SplitPattern::regex_without_scanner(expression);
    ASSERT_TRUE(groups.ok() && reference.ok());
    for (int round = 0; round < 5000; ++round) {
      std::string text;
      for (size_t n = random() % 12; n > 0; --n) text += parts[random() % parts.size()];
      ASSERT_EQ(find(*groups, text, {0, text.size()}), find(*reference, text, {0, text.size()})) << expression << text;
    }
    const std::string number(3'000'000, '7');  // the expression itself would take hours
    std::vector<Span> matches;
    groups->find_all(number, {0, number.size()}, matches);
    EXPECT_EQ(matches.size(), 1'000'000u);
  }
}

TEST(SplitPattern, TrailingSpaceInLinearTime) {
  const auto trailing = SplitPattern::regex(R"(\s+$)");
  ASSERT_TRUE(trailing.ok());
  EXPECT_EQ(find(*trailing, "a  b \n", {0, 6}), (Pairs{{4, 6}}));
  const std::string text = std::string(2'000'000, ' ') + "x";
  EXPECT_TRUE(find(*trailing, text, {0, text.size()}).empty());
}

TEST(SplitPattern, IllFormedTextIsNeitherMatchedNorFatal) {
  const auto letters = SplitPattern::regex(R"(\p{L}+)");
  ASSERT_TRUE(letters.ok());
  EXPECT_EQ(find(*letters,
                 "ab\xFF\xE4"
                 "cd",
                 {0, 6}),
            (Pairs{{0, 2}, {4, 6}}));
}

TEST(SplitPattern, ReasonsOfBadExpressions) {
  EXPECT_EQ(SplitPattern::regex("[a").status().code(), Code::kInvalidArgument);
  EXPECT_NE(SplitPattern::regex("[a&&[b]]").status().message().find("&&"), std::string::npos);
}

}  // namespace
}  // namespace strata
