// Each hand-made scanner against PCRE2 running the expression it stands for.
#include "model/text/word_scanner.h"

#include <gtest/gtest.h>

#include <random>

#include "model/text/split_pattern.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kParts = {
      "a",      "B",  "é",  "Ω",  "ж",    "你",     "ª",      "ʰ",      "ǅ",       "\u0301", "\u093E",
      "\u20DD", "1",  "٣",  "Ⅻ",  "½",    "'",      "'s",     "'LL",    "'\u017F", "'re",    "’",
      " ",      "  ", "\t", "\n", "\r\n", "\u00A0", "\u3000", "\u0085", "\u200B",  ".",      "!",
      "/",      "//", "_",  "€",  "😀",   "\u200D", "\x01",   "\uE000"};
  std::string text;
  for (size_t n = random() % 12; n > 0; --n) text += kParts[random() % kParts.size()];
  return text;
}

// The stretches between matches are words as well, so the boundaries are what counts.
std::vector<size_t> boundaries(const SplitPattern& pattern, const std::string& text) {
  std::vector<Span> matches;
  pattern.find_all(text, {0, text.size()}, matches);
  std::vector<size_t> ends;
  for (const Span& match : matches) {
    if (ends.empty() ? match.begin > 0 : match.begin > ends.back()) ends.push_back(match.begin);
    ends.push_back(match.end);
  }
  if (!text.empty() && (ends.empty() || ends.back() < text.size())) ends.push_back(text.size());
  return ends;
}

TEST(WordScanner, CutsAsTheExpressionItStandsFor) {
  for (const std::string_view expression : WordScanner::known_expressions()) {
    const auto scanner = SplitPattern::regex(expression);
    const auto reference = SplitPattern::regex_without_scanner(expression);
    ASSERT_TRUE(scanner.ok() && reference.ok()) << expression;
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
      const std::string text = random_text(random);
      ASSERT_EQ(boundaries(*scanner, text), boundaries(*reference, text)) << expression << "\n"
                                                                          << testing::PrintToString(text);
    }
  }
}

TEST(WordScanner, AnyBytesAreCoveredWithoutGap) {
  std::mt19937 random(9);
  for (const std::string_view expression : WordScanner::known_expressions()) {
    const auto scanner = WordScanner::for_expression(expression);
    for (int round = 0; round < 500; ++round) {
      std::string text;
      for (size_t n = random() % 40; n > 0; --n) text += static_cast<char>(random());
      std::vector<Span> matches;
      scanner->find_all(text, {0, text.size()}, matches);
      size_t at = 0;
      for (const Span& match : matches) {
        ASSERT_EQ(match.begin, at);
        ASSERT_GT(match.end, match.begin);
        at = match.end;
      }
      ASSERT_EQ(at, text.size());
    }
  }
}

}  // namespace
}  // namespace strata
