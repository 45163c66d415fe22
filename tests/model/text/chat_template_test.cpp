#include "model/text/chat_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

Result<std::string> render(std::string_view source, const Json& variables = Json::object()) {
  auto parsed = ChatTemplate::parse(source);
  if (!parsed.ok()) return parsed.status();
  return parsed->render(variables);
}

std::string text_of(std::string_view source, const Json& variables = Json::object()) {
  const auto text = render(source, variables);
  return text.ok() ? *text : "failed: " + text.status().message();
}

TEST(ChatTemplate, ChatMlFallback) {
  const Json messages = {{{"role", "user"}, {"content", "Hi"}}, {{"role", "assistant"}, {"content", "Ho"}}};
  EXPECT_EQ(text_of(kChatMlTemplate, {{"messages", messages}}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n");
  EXPECT_EQ(text_of(kChatMlTemplate, {{"messages", messages}, {"add_generation_prompt", true}}),
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, KeepsTheOrderOfKeys) {
  EXPECT_EQ(text_of("{{ tools|tojson }}", Json::parse(R"({"tools":[{"z":1,"a":{"y":2,"b":3}}]})")),
            R"([{"z": 1, "a": {"y": 2, "b": 3}}])");
}

TEST(ChatTemplate, DefaultsOfTransformers) {
  EXPECT_EQ(
      text_of("{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }} {{ bos_token is defined }}"),
      "True True False False");
}

TEST(ChatTemplate, ReasoningGoesByEveryName) {
  const std::string source = "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }};{% endfor %}";
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    EXPECT_EQ(text_of(source, {{"messages", {{{"role", "assistant"}, {name, "hm"}}}}}), "hm|hm;") << name;
  }
  EXPECT_EQ(text_of(source, {{"messages", {{{"role", "user"}}}}}), "|;");
}

TEST(ChatTemplate, NumbersOfJson) {
  EXPECT_EQ(text_of("{{ a }} {{ b }} {{ c }} {{ a + 1 }} {{ [a, c]|tojson }}",
                    Json::parse(R"({"a": 18446744073709551615, "b": -9223372036854775808, "c": 0.1})")),
            "18446744073709551615 -9223372036854775808 0.1 18446744073709551616 [18446744073709551615, 0.1]");
}

TEST(ChatTemplate, RaiseExceptionGivesItsTextAlone) {
  const auto text = render("{% if true %}{{ raise_exception('No system role, please.') }}{% endif %}");
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(text.status().message(), "No system role, please.");
}

TEST(ChatTemplate, ErrorsNameTheLine) {
  const auto expect_error = [](std::string_view source, std::string_view message) {
    const auto text = render(source);
    ASSERT_FALSE(text.ok()) << source << " gave " << *text;
    EXPECT_EQ(text.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(text.status().message(), message) << source;
  };
  expect_error("a\nb\n{{ 1 + }}", "line 3: unexpected 'end of print statement'");
  expect_error("{% if x %}\n", "line 1: unexpected end of template, expected 'endif'");
  expect_error("\n{% frob %}", "line 2: unknown tag 'frob'");
  expect_error("{{ 'a\nb", "line 1: a string is not closed");
  expect_error("{# a", "line 1: missing end of comment tag");
  expect_error("{% raw %}{{", "line 1: missing end of raw directive");
  expect_error("\n\n{{ missing.x }}", "line 3: 'missing' is undefined");
  expect_error("{% set d = {} %}\n{{ d.x.y }}", "line 2: 'dict object' has no attribute 'x'");
  expect_error("{% set l = [] %}{{ l.append(1) }}", "line 1: access to attribute 'append' of 'list object' is unsafe");
  expect_error("{{ 1 / 0 }}", "line 1: division by zero");
  expect_error("{{ x|nope }}", "line 1: no filter named 'nope'");
  expect_error("{% include 'a' %}", "line 1: a chat template cannot load other templates");
}

TEST(ChatTemplate, VariablesMustBeAnObject) {
  EXPECT_EQ(render("x", Json::array()).status().code(), Code::kInvalidArgument);
}

TEST(ChatTemplate, InvalidUtf8PassesThrough) {
  EXPECT_EQ(text_of("\xFF{{ x }}\xC3", {{"x", "a\xE2\x82"}}),
            "\xFF"
            "a\xE2\x82\xC3");
  EXPECT_EQ(text_of("{{ x|length }} {{ x[1:] }} {{ x|upper }}", {{"x", "a\xFF"}}), "2 \xFF A\xFF");
}

TEST(ChatTemplate, OneTemplateFromManyThreads) {
  const auto parsed = ChatTemplate::parse("{% for m in messages %}{{ m.content|upper ~ 'é'[0] }}{% endfor %}");
  ASSERT_TRUE(parsed.ok());
  const Json variables = {{"messages", {{{"content", "a"}}, {{"content", "ü"}}}}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) EXPECT_EQ(*parsed->render(variables), "AéÜé");
    });
  }
  for (std::thread& thread : threads) thread.join();
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
  EXPECT_EQ(text_of("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me.me is defined }}"), "True");
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
