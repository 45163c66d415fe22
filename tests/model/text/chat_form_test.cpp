#include "model/text/chat_form.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

ChatForm form_of(std::string_view source) {
  const auto parsed = ChatTemplate::parse(source);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return ChatForm::of(*parsed);
}

Json applied(const ChatForm& form, const char* messages) {
  Json out = Json::parse(messages);
  form.apply(out);
  return out;
}

constexpr const char* kChat = R"([
    {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    {"role": "assistant", "content": null, "tool_calls": [
        {"id": "c", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": [2]}"}},
        {"id": "d", "function": {"name": "f", "arguments": "not JSON"}},
        {"id": "e", "function": {"name": "f", "arguments": ""}}, 7]},
    {"role": "tool", "content": "4"},
    {"role": "assistant", "content": null, "reasoning": "hm"}])";

TEST(ChatForm, PlainTemplatesGetTextAndObjects) {
  const ChatForm form = form_of(kChatMlTemplate);
  EXPECT_FALSE(form.user_parts || form.system_parts || form.assistant_parts || form.tool_parts || form.parts_only);
  const Json out = applied(form, kChat);
  EXPECT_EQ(out[0]["content"], "one\ntwo");
  EXPECT_EQ(out[1]["content"], "");
  EXPECT_EQ(out[1]["tool_calls"][0]["function"]["arguments"].dump(), R"({"b":1,"a":[2]})");
  EXPECT_EQ(out[1]["tool_calls"][1]["function"]["arguments"], "not JSON");
  EXPECT_EQ(out[1]["tool_calls"][2]["function"]["arguments"], Json::object());
  EXPECT_EQ(out[3]["content"], "");
}

TEST(ChatForm, PartsStayWhereTheyAreRead) {
  const ChatForm form = form_of(
      "{% for m in messages %}{% if m.content is string or m.role != 'user' %}{{ m.content + '' }}{% else %}"
      "{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}");
  EXPECT_TRUE(form.user_parts);
  EXPECT_FALSE(form.assistant_parts || form.system_parts || form.tool_parts || form.parts_only);
  EXPECT_EQ(applied(form, kChat)[0]["content"].size(), 2u);
}

TEST(ChatForm, TextBecomesAPartWhereOnlyPartsAreRead) {
  const ChatForm form = form_of("{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}");
  EXPECT_TRUE(form.parts_only);
  const Json out = applied(form, kChat);
  EXPECT_EQ(out[0]["content"].size(), 2u);
  EXPECT_EQ(out[2]["content"].dump(), R"([{"type":"text","text":"4"}])");
}

TEST(ChatForm, ArgumentsAndNoContentAsTheTemplateWantsThem) {
  const ChatForm text = form_of(
      "{% for m in messages %}{% if m.content is none %}{% for c in m.tool_calls %}"
      "{{ c['function']['name'] + ': ' + c['function']['arguments'] }}{% endfor %}{% else %}{{ m.content }}{% endif %}"
      "{% endfor %}");
  EXPECT_TRUE(text.text_arguments);
  EXPECT_TRUE(text.null_content);
  const Json out = applied(text, kChat);
  EXPECT_EQ(out[1]["tool_calls"][0]["function"]["arguments"], R"({"b": 1, "a": [2]})");
  EXPECT_TRUE(out[1]["content"].is_null());
  EXPECT_EQ(out[3]["content"], "");

  const ChatForm object = form_of(
      "{% for m in messages %}{{ m.role + m.content }}{% for c in m.tool_calls %}"
      "{{ c.function.arguments|tojson }}{% endfor %}{% endfor %}");
  EXPECT_FALSE(object.text_arguments);
  EXPECT_FALSE(object.null_content);
}

}  // namespace
}  // namespace strata
