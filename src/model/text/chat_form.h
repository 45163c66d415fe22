// In which form a chat template takes what messages may hold: contents as text or as parts, arguments of tool calls as
// objects or as JSON text. Found by rendering small chats, so no template is known by name.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/text/chat_template.h"

namespace strata {

struct ChatForm {
  // Contents as lists of {"type": "text", "text": ...}, by role; elsewhere they become text, joined by line breaks.
  bool system_parts = false;
  bool user_parts = false;
  bool assistant_parts = false;
  bool tool_parts = false;
  bool parts_only = false;      // text alone is not printed: every content becomes a list
  bool text_arguments = false;  // arguments of tool calls only as JSON text, not as objects
  bool null_content = false;    // tool calls without text have content none, else an empty text

  // Renders a few chats; once per model.
  static ChatForm of(const ChatTemplate& chat_template);

  // Brings messages (objects, with contents that are null, text or lists of text parts) into this form. Arguments that
  // are no JSON object stay as they are.
  void apply(nlohmann::ordered_json& messages) const;
};

}  // namespace strata
