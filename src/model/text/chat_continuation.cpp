// A chat whose last message goes on, as transformers' continue_final_message has it: a mark behind the message's text
// tells where in the rendering that text ends.
#include <nlohmann/json.hpp>

#include "model/text/chat_template.h"
#include "model/jinja/unicode.h"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

// Ends in a space: where it is missing in the rendering, the template trims contents.
constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr std::string_view kTrimmedMark = kMark.substr(0, kMark.size() - 1);

// The text of the last message that is to go on: its content or the last text part of that.
Result<Json*> find_open_text(Json& variables) {
  const auto messages = variables.find("messages");
  if (messages == variables.end() || !messages->is_array() || messages->empty() || !messages->back().is_object()) {
    return invalid_argument("there is no final message to continue");
  }
  const auto content = messages->back().find("content");
  if (content == messages->back().end() || content->is_null()) {
    return invalid_argument("the final message has no content to continue");
  }
  if (content->is_string()) return &*content;
  if (content->is_array()) {
    for (auto part = content->rbegin(); part != content->rend(); ++part) {
      if (!part->is_object() || !part->contains("text")) continue;
      Json& text = (*part)["text"];
      if (text.is_string()) return &text;
      break;
    }
  }
  return invalid_argument("the final message has no text to continue");
}

}  // namespace

Result<std::string> ChatTemplate::render_continued(Json variables, std::chrono::system_clock::time_point now) const {
  if (!variables.is_object()) return invalid_argument("the variables of a chat template must be an object");
  ASSIGN_OR_RETURN(Json * open, find_open_text(variables));
  const auto text = open->get<std::string>();
  open->get_ref<std::string&>() += kMark;
  ASSIGN_OR_RETURN(std::string rendered, render(variables, now));
  const size_t end = rendered.rfind(kTrimmedMark);
  if (end == std::string::npos || rendered.find(jinja::strip(text, nullptr, true, true)) == std::string::npos) {
    return invalid_argument("the final message cannot be continued: the template does not print it as it is");
  }
  const bool kept_space = rendered.compare(end, kMark.size(), kMark) == 0;
  rendered.resize(end);
  if (!kept_space) rendered.resize(jinja::strip(rendered, nullptr, false, true).size());
  return rendered;
}

}  // namespace strata
