// Chat templates: the Jinja that models ship, rendered as transformers does (trim_blocks, lstrip_blocks, loop controls,
// generation blocks, an immutable sandbox). A ChatTemplate is immutable and may be rendered from any thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/status.h"

namespace strata {

// For models that bring no template of their own: every turn between <|im_start|>ROLE and <|im_end|>.
inline constexpr std::string_view kChatMlTemplate =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

class ChatTemplate {
 public:
  // kInvalidArgument with line number and reason when the template cannot be parsed. The cost of reading a template is
  // paid here, once per model.
  static Result<ChatTemplate> parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables`: an object with at least `messages`; usual further ones: add_generation_prompt, bos_token, eos_token,
  // tools, documents and whatever a request passes on (enable_thinking ...). Order of keys is kept: templates print it.
  // As in transformers, absent `tools` and `documents` are none, absent `add_generation_prompt` is false, and a
  // message's reasoning, given as reasoning_content, thinking or reasoning, is found under the first two. `now` is what
  // strftime_now sees (local time).
  // raise_exception(text) gives kInvalidArgument with just that text, every other failure kInvalidArgument with line
  // and reason; a template that runs too long, needs too much memory or writes too much gives kExhausted.
  Result<std::string> render(const nlohmann::ordered_json& variables,
                             std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const;

  // As render, but ends with the content of the last message, for the model to go on with it; without the spaces at
  // its end where the template trims it. kInvalidArgument when it has no text or the template does not print it.
  Result<std::string> render_continued(
      nlohmann::ordered_json variables,
      std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace strata
