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

TEST(ChatTemplate, ContinuesTheLastMessage) {
  const auto continued = [](std::string_view source, const Json& messages) {
    const auto parsed = ChatTemplate::parse(source);
    const auto text = parsed->render_continued({{"messages", messages}});
    return text.ok() ? *text : "failed: " + text.status().message();
  };
  const Json chat = {{{"role", "user"}, {"content", "Hi"}}, {{"role", "assistant"}, {"content", "Once upon "}}};
  EXPECT_EQ(continued(kChatMlTemplate, chat), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nOnce upon ");
  EXPECT_EQ(continued("{% for m in messages %}[{{ m.content|trim }}]{% endfor %}", chat), "[Hi][Once upon");
  const Json parts = {
      {{"role", "user"}, {"content", Json::array({{{"text", "a"}}, {{"text", "b"}}, {{"type", "x"}}})}}};
  EXPECT_EQ(continued("{% for m in messages %}{% for p in m.content %}<{{ p.text }}>{% endfor %}{% endfor %}", parts),
            "<a><b");
  for (const char* bad : {R"([])", R"([7])", R"([{"role":"user"}])", R"([{"content":null}])", R"([{"content":[]}])",
                          R"([{"content":7}])", R"([{"content":[{"text":7}]}])"}) {
    EXPECT_NE(continued(kChatMlTemplate, Json::parse(bad)).find("failed: "), std::string::npos) << bad;
  }
  EXPECT_NE(continued("{{ messages[0].content }}", chat).find("does not print it"), std::string::npos);
  EXPECT_NE(continued("{{ messages[1].content|upper }}", chat).find("does not print it"), std::string::npos);
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

}  // namespace
}  // namespace strata
