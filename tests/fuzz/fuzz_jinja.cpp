// Any bytes as a chat template, rendered over a small chat: an answer or a Status, in bounded time and memory.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "model/text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto variables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be kind, 你好."},
                 {"role": "user", "content": [{"type": "text", "text": "a b"}]},
                 {"role": "assistant", "content": "", "reasoning": "hm",
                  "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {"type": "number"}}}}}],
    "n": 7, "x": 2.5, "s": "Hello, World", "l": [3, 1, 2], "d": {"b": 1, "a": "x"}, "add_generation_prompt": true})");
  const auto parsed = strata::ChatTemplate::parse({reinterpret_cast<const char*>(data), size});
  if (parsed.ok()) (void)parsed->render(variables);
  return 0;
}
