#include "model/jinja/lexer.h"

#include <gtest/gtest.h>

namespace strata::jinja {
namespace {

std::string shown(std::string_view source) {
  const auto tokens = tokenize(source);
  if (!tokens.ok()) return "failed: " + tokens.status().message();
  std::string out;
  for (const Token& token : *tokens) {
    if (!out.empty()) out += ' ';
    if (token.type == Tok::kData)
      out += "<" + token.text + ">";
    else if (token.type == Tok::kString)
      out += "'" + token.text + "'";
    else if (token.type == Tok::kInteger)
      out += std::to_string(static_cast<long long>(token.integer));
    else if (token.type == Tok::kVariableBegin)
      out += "{{";
    else if (token.type == Tok::kVariableEnd)
      out += "}}";
    else if (token.type == Tok::kBlockBegin)
      out += "{%";
    else if (token.type == Tok::kBlockEnd)
      out += "%}";
    else if (token.type != Tok::kEnd)
      out += describe(token);
  }
  return out;
}

TEST(JinjaLexer, WhiteSpaceControl) {
  EXPECT_EQ(shown("  {% a %}\n x"), "{% a %} < x> ");         // lstrip_blocks and trim_blocks
  EXPECT_EQ(shown("y {% a %}\n\nx"), "<y > {% a %} <\nx> ");  // one line break only, blanks behind text stay
  EXPECT_EQ(shown("  {%+ a +%}\n x"), "<  > {% a %} <\n x> ");
  EXPECT_EQ(shown("y \n {%- a -%} \n x"), "<y> {% a %} <x> ");
  EXPECT_EQ(shown(" {{ a }}\nx"), "< > {{ a }} <\nx> ");  // variables keep both
  EXPECT_EQ(shown(" {# a #}\nx\n"), "<x> ");              // the last line break of the source goes
  EXPECT_EQ(shown("{% raw %}{{ a }}{% endraw %}"), "<{{ a }}> ");
}

TEST(JinjaLexer, Tokens) {
  EXPECT_EQ(shown("{{ a.b[1:-2]|c(d='e') ** 0x1F // 1_0 }}"), "{{ a . b [ 1 : - 2 ] | c ( d = 'e' ) ** 31 // 10 }} ");
  EXPECT_EQ(shown(R"({{ '\x41\u00e9\n\'' "b" }})"), "{{ 'A\u00e9\n'' 'b' }} ");
  EXPECT_EQ(shown("{{ {'a': {}} }}"), "{{ { 'a' : { } } }} ");
}

TEST(JinjaLexer, Errors) {
  EXPECT_EQ(shown("\n{{ a ! b }}"), "failed: line 2: unexpected character '!'");
  EXPECT_EQ(shown("{{ (a] }}"), "failed: line 1: unexpected ']', expected ')'");
  EXPECT_EQ(shown("{{ a) }}"), "failed: line 1: unexpected ')'");
  EXPECT_EQ(shown("{{ 'a"), "failed: line 1: a string is not closed");
  EXPECT_EQ(shown("{{ '\\x4' }}"), "failed: line 1: truncated or wrong \\x escape in a string");
}

}  // namespace
}  // namespace strata::jinja
