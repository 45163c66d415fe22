#include "model/text/frame.h"

#include <algorithm>

namespace strata {
namespace {

bool is_token(const FramePiece& piece) { return piece.what == FramePiece::What::kToken; }

// Adds or removes the token among the tokens beside a text.
void set_between(Frame& tokens, FrameSide side, const FramePiece& text, TokenId token, bool wanted) {
  const auto place = std::find_if(tokens.begin(), tokens.end(), [&](const FramePiece& p) { return p.token == token; });
  if (!wanted && place != tokens.end()) tokens.erase(place);
  if (!wanted || place != tokens.end()) return;
  const FramePiece piece{FramePiece::What::kToken, token, text.segment};
  tokens.insert(side == FrameSide::kBefore ? tokens.begin() : tokens.end(), piece);
}

}  // namespace

std::vector<TokenId> tokens_before(const Frame& frame) {
  std::vector<TokenId> ids;
  for (auto piece = frame.begin(); piece != frame.end() && is_token(*piece); ++piece) ids.push_back(piece->token);
  return ids;
}

std::vector<TokenId> tokens_after(const Frame& frame) {
  std::vector<TokenId> ids;
  for (auto piece = frame.rbegin(); piece != frame.rend() && is_token(*piece); ++piece) ids.push_back(piece->token);
  std::reverse(ids.begin(), ids.end());
  return ids;
}

void set_token(Frame& frame, FrameSide side, TokenId token, bool wanted) {
  Frame changed;
  const auto end = frame.end();
  for (auto at = frame.begin(); at != end;) {
    const auto next = std::find_if(at, end, [](const FramePiece& piece) { return !is_token(piece); });
    Frame tokens(at, next);
    const bool beside = side == FrameSide::kBefore ? next != end : at != frame.begin();
    if (beside) set_between(tokens, side, side == FrameSide::kBefore ? *next : *(at - 1), token, wanted);
    changed.insert(changed.end(), tokens.begin(), tokens.end());
    if (next == end) break;
    changed.push_back(*next);
    at = next + 1;
    if (at == end && side == FrameSide::kAfter) {  // a text ends the frame
      Frame last;
      set_between(last, side, *next, token, wanted);
      changed.insert(changed.end(), last.begin(), last.end());
    }
  }
  frame = std::move(changed);
}

FramedTokens put_in(const Frame& frame, const std::vector<TokenId>& first, const std::vector<TokenId>& second) {
  FramedTokens framed;
  for (const FramePiece& piece : frame) {
    if (is_token(piece)) {
      framed.ids.push_back(piece.token);
    } else {
      const std::vector<TokenId>& text = piece.what == FramePiece::What::kFirstText ? first : second;
      framed.ids.insert(framed.ids.end(), text.begin(), text.end());
    }
    framed.segments.resize(framed.ids.size(), piece.segment);
  }
  return framed;
}

}  // namespace strata
