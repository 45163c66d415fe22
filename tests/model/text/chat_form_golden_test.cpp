#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/text/chat_form.h"
#include "test_data.h"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

Json applied(const ChatForm& form, const char* messages) {
  Json out = Json::parse(messages);
  form.apply(out);
  return out;
}

// Some templates need tools, others fail with them, as in Jinja2.
Result<std::string> render(const ChatTemplate& chat_template, Json messages) {
  const Json tools = Json::parse(R"([{"type": "function", "function": {"name": "other", "description": "",
      "parameters": {"type": "object", "properties": {}}}}])");
  Json variables = {{"messages", std::move(messages)}, {"bos_token", ""}, {"eos_token", ""}, {"tools", tools}};
  const auto text = chat_template.render(variables);
  variables.erase("tools");
  return text.ok() ? text : chat_template.render(variables);
}

// Whatever form a shared template takes, what clients send is printed.
TEST(ChatForm, SharedTemplatesPrintWhatClientsSend) {
  STRATA_REQUIRE_DATA("chat-templates");
  // No calls there; the last appends to a list, which the sandbox forbids (transformers refuses it, too).
  const char* const no_calls[] = {"google-gemma-2-2b-it.jinja", "HuggingFaceTB-SmolLM3-3B.jinja",
                                  "CohereForAI-c4ai-command-r-plus-tool_use.jinja", "Kimi-K2-Thinking.jinja"};
  int with_calls = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::shared_data() / "chat-templates")) {
    if (entry.path().extension() != ".jinja") continue;
    const auto parsed = ChatTemplate::parse(test::read_text(entry.path()));
    ASSERT_TRUE(parsed.ok()) << entry.path();
    const ChatForm form = ChatForm::of(*parsed);
    const auto text = render(*parsed, applied(form, R"([{"role": "user", "content": [
        {"type": "text", "text": "part-one"}, {"type": "text", "text": "part-two"}]}])"));
    ASSERT_TRUE(text.ok()) << entry.path() << text.status().message();
    EXPECT_NE(text->find("part-one"), std::string::npos) << entry.path();
    EXPECT_NE(text->find("part-two"), std::string::npos) << entry.path();
    if (std::find(std::begin(no_calls), std::end(no_calls), entry.path().filename()) != std::end(no_calls)) continue;
    const auto call = render(*parsed, applied(form, R"([{"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefghi", "type": "function",
            "function": {"name": "get_it", "arguments": "{\"where\": \"Rome\"}"}}]},
        {"role": "tool", "tool_call_id": "abcdefghi", "name": "get_it", "content": "result-text"}])"));
    ASSERT_TRUE(call.ok()) << entry.path() << call.status().message();
    for (const char* part : {"get_it", "where", "Rome", "result-text"})
      EXPECT_NE(call->find(part), std::string::npos) << entry.path() << "\n" << *call;
    EXPECT_EQ(call->find("\\\"where"), std::string::npos) << entry.path();
    ++with_calls;
  }
  EXPECT_GE(with_calls, 25);
}

}  // namespace
}  // namespace strata
