#include "model/text/split_pattern.h"

#include <gtest/gtest.h>

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
