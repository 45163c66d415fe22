// Chat templates: the Jinja that models ship, rendered as transformers does (trim_blocks, lstrip_blocks, sandboxed
// subset). A ChatTemplate is immutable and may be rendered from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/status.h"

namespace strata {

class ChatTemplate {
 public:
  // kInvalidArgument with line number and reason when the template cannot be parsed.
  static Result<ChatTemplate> parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables`: an object with at least `messages`; usual further ones: add_generation_prompt, bos_token, eos_token,
  // tools, documents. raise_exception(text) gives kInvalidArgument with that text; a template that runs too long or
  // writes too much gives kExhausted.
  Result<std::string> render(const nlohmann::json& variables) const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace strata
