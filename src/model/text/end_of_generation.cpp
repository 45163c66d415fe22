#include "model/text/end_of_generation.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace strata {
namespace {

constexpr std::array<std::string_view, 24> kEndNames = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot|>",
    "</s>",
    "<eos>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|END_OF_TURN_TOKEN|>",
};

bool has(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void add_end_of_generation(TokenizerSpec& spec, bool ordinary_too) {
  std::vector<std::string_view> present;
  for (const VocabularyToken& token : spec.tokens) {
    if (token.kind == TokenKind::kNormal && !ordinary_too) continue;
    if (std::find(kEndNames.begin(), kEndNames.end(), token.text) != kEndNames.end()) present.push_back(token.text);
  }
  // Harmony's <|end|> closes a message, not the answer; where tools answer, </s> is no end either.
  const bool messages = has(present, "<|return|>") && has(present, "<|call|>");
  const bool calls = has(present, "<|calls|>") && has(present, "<|flush|>");
  const bool tool_response = has(present, "<|tool_response>");
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    VocabularyToken& token = spec.tokens[id];
    if (!has(present, token.text) || (token.kind == TokenKind::kNormal && !ordinary_too)) continue;
    if (token.text == "<|end|>" && (messages || calls)) continue;
    if (token.text == "</s>" && tool_response) continue;
    token.kind = TokenKind::kControl;
    spec.end_of_generation.push_back(static_cast<TokenId>(id));
  }
  if (spec.eos) spec.end_of_generation.push_back(*spec.eos);
}

}  // namespace strata
