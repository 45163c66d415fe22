// Hostile templates: what would run, grow or nest beyond measure is stopped with a Status.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/text/chat_template.h"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

Result<std::string> render(std::string_view source, const Json& variables = Json::object()) {
  auto parsed = ChatTemplate::parse(source);
  if (!parsed.ok()) return parsed.status();
  return parsed->render(variables);
}

// A template is someone else's program: each of these would run, grow or recurse beyond all measure.
TEST(ChatTemplate, RunawaysAreStopped) {
  const char* const runaways[] = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% for a in range(100000) if false %}{% endfor %}"
      "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
      "{{ 'a' * 10**9 }}",
      "{{ [1] * 10**9 }}",
      "{{ 'ab'.center(10**9) }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ 'x'|indent(10**9) }}",
      "{{ [1]|tojson(indent=10**9) }}",
      "{{ 'a'|center(10**9) }}",
      "{{ 'a'.ljust(10**9) }}{{ 'a'.zfill(10**9) }}",
      "{{ '\t'.expandtabs(10**9) }}",
      "{{ [1]|batch(10**9, 0)|list }}",
      "{{ [1]|slice(10**9)|list }}",
      "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(1000) %}{% set ns.s = ns.s.replace('a', 'aaaaaaaa') "
      "%}{% endfor %}",
      "{% set ns = namespace(s='a') %}{% for i in range(1000) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson "
      "}}",
      "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}"
      "{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m(x) %}{% for i in range(9) %}{{ m(x + 1) if x < 90 }}{% endfor %}{% endmacro %}{{ m(0) }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{% macro a() %}{% call b() %}{% endcall %}{% endmacro %}{% macro b() %}{{ a() }}{{ caller() }}{% endmacro %}{{ "
      "a() }}",
      "{% set s = 'a' * 10000000 %}{% for i in range(100000) %}{{ 'b' in s }}{% endfor %}",
      "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{{ s[999999] }}{% endfor %}",
      "{% set s = 'x' * 60000000 %}{{ s }}{{ s }}",
      "{% set x %}{% for i in range(100000) %}{{ 'y' * 10000 }}{% endfor %}{% endset %}",
      "{{ (range(100000)|list * 100)|sort|length }}",
  };
  for (const char* source : runaways) {
    const auto text = render(source);
    ASSERT_FALSE(text.ok()) << source;
    EXPECT_EQ(text.status().code(), Code::kExhausted) << source << ": " << text.status().message();
  }
}

TEST(ChatTemplate, DeepValuesAndLoopsOfReferencesEndWell) {
  EXPECT_FALSE(
      render("{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}")
          .ok());
  EXPECT_FALSE(render("{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ "
                      "ns.x|tojson }}")
                   .ok());
  EXPECT_FALSE(render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}").ok());
  EXPECT_FALSE(render("{% set ns = namespace(t=(1,)) %}{% for i in range(90) %}{% set ns.t = (ns.t, ns.t) %}{% endfor "
                      "%}{{ {ns.t: 1} }}")
                   .ok());
  const auto itself = render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me.me is defined }}");
  ASSERT_TRUE(itself.ok());
  EXPECT_EQ(*itself, "True");
  Json deep = 1;
  for (int i = 0; i < 2000; ++i) deep = Json::array({std::move(deep)});
  EXPECT_EQ(render("{{ x }}", {{"x", deep}}).status().code(), Code::kInvalidArgument);
}

std::string repeated(std::string_view part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

TEST(ChatTemplate, DeepSourcesAreRefused) {
  const std::string sources[] = {
      "{{ " + repeated("(", 100'000) + repeated(")", 100'000) + " }}",
      "{{ " + repeated("[", 100'000) + " }}",
      "{{ " + repeated("{1:", 100'000) + " }}",
      "{{ " + repeated("not ", 100'000) + "x }}",
      "{{ " + repeated("-", 100'000) + "1 }}",
      "{{ x" + repeated(".x", 100'000) + " }}",
      "{{ x" + repeated("[0]", 100'000) + " }}",
      "{{ x" + repeated("()", 100'000) + " }}",
      "{{ x" + repeated("|upper", 100'000) + " }}",
      "{{ 1" + repeated("+1", 100'000) + " }}",
      "{{ 1" + repeated(" if x else 1", 100'000) + " }}",
      "{{ x" + repeated(" is in x", 100'000) + " }}",
      "{{ x" + repeated(" is eq(x", 100'000) + " }}",
      "{% for " + repeated("(", 100'000) + "a in b %}",
      repeated("{% if x %}", 100'000),
      repeated("{% for x in y %}", 100'000),
      repeated("{% macro m() %}", 100'000),
      repeated("{% set x %}", 100'000),
      repeated("{% generation %}", 100'000),
  };
  for (const std::string& source : sources) {
    const auto parsed = ChatTemplate::parse(source);
    ASSERT_FALSE(parsed.ok()) << source.substr(0, 40);
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << source.substr(0, 40);
  }
  const std::string flat = "{% if x %}" + repeated("{% elif x %}", 5000) + "{% endif %}" + repeated("{{ x }}", 5000);
  EXPECT_TRUE(ChatTemplate::parse(flat).ok());
}

}  // namespace
}  // namespace strata
