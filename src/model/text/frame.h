// What is put around one text, or two: tokens and texts in this order, each with the segment (BERT's token type) it
// counts to. Plain values.
#pragma once

#include <vector>

#include "model/text/tokenizer.h"

namespace strata {

struct FramePiece {
  enum class What : uint8_t { kToken, kFirstText, kSecondText };
  What what = What::kToken;
  TokenId token = 0;
  int32_t segment = 0;
};
using Frame = std::vector<FramePiece>;

// The tokens before the first text, or after the last.
std::vector<TokenId> tokens_before(const Frame& frame);
std::vector<TokenId> tokens_after(const Frame& frame);

enum class FrameSide : uint8_t { kBefore, kAfter };
// Puts a token next to every text of the frame, unless it is among the tokens there, or takes it away.
void set_token(Frame& frame, FrameSide side, TokenId token, bool wanted);

FramedTokens put_in(const Frame& frame, const std::vector<TokenId>& first, const std::vector<TokenId>& second);

}  // namespace strata
