// Template source to tokens, white-space control applied: trim_blocks (one line break after a block is dropped) and
// lstrip_blocks (blanks before a block at the start of a line are dropped), "-" and "+" override both.
// Source: https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/jinja/value.h"

namespace strata::jinja {

enum class Tok : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kTilde,
  kPipe,
  kDot,
  kComma,
  kColon,
  kSemicolon,
  kAssign,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLeftParen,
  kRightParen,
  kLeftBracket,
  kRightBracket,
  kLeftBrace,
  kRightBrace,
  kEnd,
};

struct Token {
  Tok type = Tok::kEnd;
  int line = 1;
  std::string text;  // data, name, decoded string
  Wide integer = 0;
  double number = 0;
};

// The last token is kEnd. kInvalidArgument "line N: reason" for what is no token.
Result<std::vector<Token>> tokenize(std::string_view source);

std::string describe(const Token& token);
std::string_view describe(Tok type);

}  // namespace strata::jinja
