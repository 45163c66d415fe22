#include "model/text/chat_form.h"

#include <nlohmann/json.hpp>
#include <string>

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFirst = "needle-one", kSecond = "needle-two";

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

Json text_part(std::string_view text) { return {{"type", "text"}, {"text", text}}; }

Json two_parts() { return Json::array({text_part(kFirst), text_part(kSecond)}); }

Json message(std::string_view role, Json content) { return {{"role", role}, {"content", std::move(content)}}; }

Json tool_call(Json arguments) {
  return {
      {"id", "abcdefghi"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", std::move(arguments)}}}};
}

// Some templates need tools, others fail with them.
std::string rendered(const ChatTemplate& chat_template, Json messages) {
  const Json tool = {{"type", "function"},
                     {"function",
                      {{"name", "f"},
                       {"description", "f"},
                       {"parameters", {{"type", "object"}, {"properties", {{"x", {{"type", "string"}}}}}}}}}};
  Json variables = {{"messages", std::move(messages)},
                    {"tools", Json::array({tool})},
                    {"add_generation_prompt", true},
                    {"bos_token", ""},
                    {"eos_token", ""}};
  auto text = chat_template.render(variables);
  if (text.ok()) return *text;
  variables.erase("tools");
  text = chat_template.render(variables);
  return text.ok() ? *text : std::string();
}

// Both parts as text, not the list as Python or JSON would print it.
bool prints_parts(std::string_view text) {
  return has(text, kFirst) && has(text, kSecond) && !has(text, "'text'") && !has(text, "\"text\"");
}

// The name and the value, not the object as Python would print it and not JSON text within JSON text.
bool prints_arguments(std::string_view text) {
  return has(text, kFirst) && has(text, kSecond) && !has(text, "'needle-one'") && !has(text, "\\\"needle-one");
}

Json call_chat(const Json& user, Json content, Json arguments, Json result) {
  Json call = message("assistant", std::move(content));
  call["tool_calls"] = Json::array({tool_call(std::move(arguments))});
  Json answer = message("tool", std::move(result));
  answer["tool_call_id"] = "abcdefghi";
  answer["name"] = "f";
  return Json::array({user, std::move(call), std::move(answer)});
}

void join_parts(Json& content) {
  std::string text;
  for (const Json& part : content) {
    if (&part != &content.front()) text += '\n';
    text += part.value("text", "");
  }
  content = std::move(text);
}

void parse_arguments(Json& message) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (Json& call : *calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
    const auto arguments = call["function"].find("arguments");
    if (arguments == call["function"].end() || !arguments->is_string()) continue;
    const auto& text = arguments->get_ref<const std::string&>();
    Json parsed = text.empty() ? Json::object() : Json::parse(text, nullptr, false);
    if (parsed.is_object()) *arguments = std::move(parsed);
  }
}

}  // namespace

ChatForm ChatForm::of(const ChatTemplate& chat_template) {
  ChatForm form;
  const auto chat = [&](Json messages) { return rendered(chat_template, std::move(messages)); };
  form.user_parts = prints_parts(chat(Json::array({message("user", two_parts())})));
  form.parts_only = form.user_parts && !has(chat(Json::array({message("user", kFirst)})), kFirst);
  const auto content = [&](std::string_view text) {
    return form.parts_only ? Json::array({text_part(text)}) : Json(text);
  };
  const Json user = message("user", content("hello"));
  form.system_parts = prints_parts(chat(Json::array({message("system", two_parts()), user})));
  form.assistant_parts = prints_parts(chat(Json::array({user, message("assistant", two_parts()), user})));
  const Json object = {{kFirst, kSecond}};
  const Json text = object.dump(), result = content("1");
  for (const bool null : {true, false}) {
    const Json said = null ? Json() : content("");
    const std::string by_object = chat(call_chat(user, said, object, result));
    const std::string by_text = chat(call_chat(user, said, text, result));
    form.text_arguments = !prints_arguments(by_object) && prints_arguments(by_text);
    form.null_content = null && prints_arguments(form.text_arguments ? by_text : by_object) && !has(by_object, "None");
    if (form.null_content) break;
  }
  const Json said = form.null_content ? Json() : content("");
  form.tool_parts =
      prints_parts(chat(call_chat(user, said, form.text_arguments ? Json("{}") : Json::object(), two_parts())));
  return form;
}

void ChatForm::apply(Json& messages) const {
  for (Json& message : messages) {
    if (!message.is_object()) continue;
    if (!text_arguments) parse_arguments(message);
    const auto content = message.find("content");
    if (content == message.end()) continue;
    if (content->is_null() && !(null_content && message.contains("tool_calls"))) *content = "";
    const std::string role = message.value("role", "");
    const bool takes_parts = parts_only || (role == "system" && system_parts) || (role == "user" && user_parts) ||
                             (role == "assistant" && assistant_parts) || (role == "tool" && tool_parts);
    if (content->is_array() && !takes_parts) join_parts(*content);
    if (content->is_string() && parts_only) *content = Json::array({text_part(content->get<std::string>())});
  }
}

}  // namespace strata
