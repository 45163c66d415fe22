#include "model/text/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace strata {
namespace {

std::string well_formed(std::string_view bytes) {
  std::string out;
  append_well_formed(out, bytes);
  return out;
}

TEST(Utf8, ReplacesEachMaximalSubpartOnce) {
  EXPECT_EQ(well_formed("a\xE4\xBD\xA0z"), "a\xE4\xBD\xA0z");
  EXPECT_EQ(well_formed("\x80"), "\uFFFD");
  EXPECT_EQ(well_formed("\xC0\x80"), "\uFFFD\uFFFD");  // overlong: no byte of it begins anything
  EXPECT_EQ(well_formed("\xE4\xBD"
                        "a"),
            "\uFFFD"
            "a");  // cut short: one
  EXPECT_EQ(well_formed("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(well_formed("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(well_formed("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
  EXPECT_EQ(well_formed("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                        "A"),
            "\uFFFD\uFFFD\uFFFD\uFFFD"
            "A");
}

TEST(Utf8, ReadsAndWritesEveryCodePoint) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const CodePoint point = code_point_at(text, 0);
    ASSERT_TRUE(point.valid && point.value == c && point.length == text.size()) << static_cast<uint32_t>(c);
    ASSERT_EQ(previous_code_point(text, text.size()), 0u);
    for (size_t n = 1; n < text.size(); ++n) ASSERT_EQ(unfinished_suffix("x" + text.substr(0, n)), n);
    ASSERT_EQ(unfinished_suffix(text), 0u);
  }
}

TEST(Utf8, CuttingAnywhereLosesNothing) {
  std::mt19937 random(1);
  const std::string bytes = "a\x80\xBF\xC2\xC3\xE0\xA0\xE4\xED\x9F\xF0\x9F\xF4\x8F\xFF";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (size_t n = random() % 9; n > 0; --n) text += bytes[random() % bytes.size()];
    const std::string head = text.substr(0, text.size() - unfinished_suffix(text));
    ASSERT_EQ(well_formed(head) + well_formed(text.substr(head.size())), well_formed(text));
  }
}

}  // namespace
}  // namespace strata
