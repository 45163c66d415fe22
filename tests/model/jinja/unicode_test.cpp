#include "model/jinja/unicode.h"

#include <gtest/gtest.h>

namespace strata::jinja {
namespace {

TEST(JinjaUnicode, CaseMappingIsFull) {
  EXPECT_EQ(to_upper("straße ﬁ ŉ ᾳ"), "STRASSE FI ʼN ΑΙ");
  EXPECT_EQ(to_lower("ΑΣ ΑΣΑ Σ İ ẞ"), "ας ασα σ i̇ ß");
  EXPECT_EQ(to_title("ǆ they're ﬁne"), "ǅ They'Re Fine");
  EXPECT_EQ(to_capitalized("éCOLE"), "École");
  EXPECT_EQ(to_swapped_case("aBß"), "AbSS");
  EXPECT_EQ(to_folded("Maße"), "masse");
}

TEST(JinjaUnicode, InvalidBytesAreCharactersOfTheirOwn) {
  const std::string text = "a\xFF\xE2\x82z";
  EXPECT_EQ(count_code_points(text), 5u);
  EXPECT_EQ(byte_offset(text, 3), 3u);
  EXPECT_EQ(to_upper(text), "A\xFF\xE2\x82Z");
  std::string again;
  for (size_t at = 0; at < text.size();) append_utf8(again, next_code_point(text, at));
  EXPECT_EQ(again, text);
}

TEST(JinjaUnicode, Strip) {
  EXPECT_EQ(strip(" \t\u00a0x \u2003", nullptr, true, true), "x");
  const std::string_view chars = "éx";
  EXPECT_EQ(strip("éxaéx", &chars, true, true), "a");
  EXPECT_EQ(strip("éxaéx", &chars, false, true), "éxa");
  EXPECT_EQ(strip("\x82\x82", nullptr, true, true), "\x82\x82");
}

TEST(JinjaUnicode, Classes) {
  EXPECT_TRUE(is_alpha(0x4F60) && is_digit(0xB2) && !is_decimal(0xB2) && is_numeric(0xBD) && is_space(0x3000));
  EXPECT_TRUE(is_printable(0xE9) && !is_printable(0x200B) && !is_printable(0x7F));
}

}  // namespace
}  // namespace strata::jinja
