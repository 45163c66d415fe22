#include "model/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "model/jinja/string_literal.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

struct OperatorSpelling {
  std::string_view text;
  Tok type;
};
constexpr OperatorSpelling kOperators[] = {  // longer ones first
    {"//", Tok::kFloorDiv},   {"**", Tok::kPow},         {"==", Tok::kEq},       {"!=", Tok::kNe},
    {">=", Tok::kGe},         {"<=", Tok::kLe},          {"+", Tok::kAdd},       {"-", Tok::kSub},
    {"/", Tok::kDiv},         {"*", Tok::kMul},          {"%", Tok::kMod},       {"~", Tok::kTilde},
    {"[", Tok::kLeftBracket}, {"]", Tok::kRightBracket}, {"(", Tok::kLeftParen}, {")", Tok::kRightParen},
    {"{", Tok::kLeftBrace},   {"}", Tok::kRightBrace},   {">", Tok::kGt},        {"<", Tok::kLt},
    {"=", Tok::kAssign},      {".", Tok::kDot},          {":", Tok::kColon},     {"|", Tok::kPipe},
    {",", Tok::kComma},       {";", Tok::kSemicolon}};

bool ascii_digit(char c) { return c >= '0' && c <= '9'; }

int digit_value(char c) {
  if (ascii_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
}

// Line ends become \n; one at the very end is dropped.
std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> run() {
    while (error_.ok() && at_ < source_.size()) lex_root();
    if (!error_.ok()) return error_;
    push(Tok::kEnd);
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool starts(std::string_view text) const { return rest().starts_with(text); }
  char peek(size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  void fail(std::string reason) {
    if (error_.ok()) error_ = invalid_argument("line " + std::to_string(line_) + ": " + reason);
    at_ = source_.size();
  }

  void advance(size_t bytes) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + bytes), '\n'));
    at_ += bytes;
  }

  Token& push(Tok type) {
    Token& token = tokens_.emplace_back();
    token.type = type;
    token.line = line_;
    return token;
  }

  size_t space_length(size_t from) const {
    size_t at = from;
    while (at < source_.size()) {
      size_t after = at;
      if (!is_space(next_code_point(source_, after))) break;
      at = after;
    }
    return at - from;
  }

  void push_data(std::string_view text, char sign, bool block) {
    if (sign == '-') {
      text = strip(text, nullptr, false, true);
    } else if (sign != '+' && block) {
      const size_t newline = text.rfind('\n');
      const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
      if ((begin > 0 || line_starting_) && strip(text.substr(begin), nullptr, true, false).empty()) {
        text = text.substr(0, begin);
      }
    }
    if (!text.empty()) push(Tok::kData).text = text;
  }

  static char sign_of(char c) { return c == '-' || c == '+' ? c : '\0'; }

  // The length of `{% WORD %}` at `at`, or 0. `trims`: a plain end also takes the line break behind it.
  size_t keyword_block_length(size_t at, std::string_view word, bool trims) const {
    size_t end = at + 2;
    if (end < source_.size() && sign_of(source_[end]) != '\0') ++end;
    end += space_length(end);
    if (source_.compare(end, word.size(), word) != 0) return 0;
    end += word.size();
    end += space_length(end);
    if (source_.compare(end, 3, "-%}") == 0) return end + 3 + space_length(end + 3) - at;
    if (trims && source_.compare(end, 3, "+%}") == 0) return end + 3 - at;
    if (source_.compare(end, 2, "%}") != 0) return 0;
    end += 2;
    if (trims && end < source_.size() && source_[end] == '\n') ++end;
    return end - at;
  }

  void lex_root() {
    size_t tag = at_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        push(Tok::kData).text = rest();
        at_ = source_.size();
        return;
      }
      const char next = source_[tag + 1];
      if (next == '%' || next == '{' || next == '#') break;
      ++tag;
    }
    const char type = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? sign_of(source_[tag + 2]) : '\0';
    push_data(std::string_view(source_).substr(at_, tag - at_), sign, type != '{');
    advance(tag - at_);
    const size_t raw = type == '%' ? keyword_block_length(at_, "raw", false) : 0;
    if (raw != 0) return lex_raw(raw);
    if (type == '%') push(Tok::kBlockBegin);
    if (type == '{') push(Tok::kVariableBegin);
    advance(sign != '\0' ? 3 : 2);
    if (type == '#') return lex_comment();
    lex_tag(type == '%');
  }

  void finish_tag(size_t bytes) {
    advance(bytes);
    line_starting_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  void lex_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) return fail("missing end of comment tag");
    const char sign = end > at_ ? sign_of(source_[end - 1]) : '\0';
    size_t after = end + 2;
    if (sign == '-') {
      after += space_length(after);
    } else if (sign != '+' && after < source_.size() && source_[after] == '\n') {
      ++after;
    }
    finish_tag(after - at_);
  }

  void lex_raw(size_t begin_length) {
    finish_tag(begin_length);
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      const size_t length = keyword_block_length(tag, "endraw", true);
      if (length == 0) continue;
      push_data(std::string_view(source_).substr(at_, tag - at_), sign_of(source_[tag + 2]), true);
      return finish_tag(tag - at_ + length);
    }
    fail("missing end of raw directive");
  }

  // The length of the end of the tag at this place, or 0.
  size_t tag_end_length(bool block) const {
    const std::string_view close = block ? "%}" : "}}";
    if (peek() == '-' && rest().substr(1).starts_with(close)) return 3 + space_length(at_ + 3);
    if (block && starts("+%}")) return 3;
    if (!starts(close)) return 0;
    return block && peek(2) == '\n' ? 3 : 2;
  }

  void lex_tag(bool block) {
    std::string open;  // the brackets that must still be closed
    while (error_.ok() && at_ < source_.size()) {
      if (open.empty()) {
        if (const size_t length = tag_end_length(block); length != 0) {
          push(block ? Tok::kBlockEnd : Tok::kVariableEnd);
          return finish_tag(length);
        }
      }
      if (const size_t spaces = space_length(at_); spaces != 0) {
        advance(spaces);
      } else if (!lex_number() && !lex_name() && !lex_string()) {
        lex_operator(open);
      }
    }
  }

  size_t digits_length(size_t from) const {  // (\d+_)*\d+
    size_t at = from;
    while (at < source_.size() &&
           (ascii_digit(source_[at]) || (source_[at] == '_' && at > from && source_[at - 1] != '_' &&
                                         at + 1 < source_.size() && ascii_digit(source_[at + 1])))) {
      ++at;
    }
    return at - from;
  }

  size_t float_length() const {
    if (at_ > 0 && source_[at_ - 1] == '.') return 0;
    const size_t whole = digits_length(at_);
    size_t end = at_ + whole;
    bool is_float = false;
    if (end < source_.size() && source_[end] == '.') {
      if (const size_t fraction = digits_length(end + 1); fraction != 0) {
        end += 1 + fraction;
        is_float = true;
      }
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      size_t exponent = end + 1;
      if (exponent < source_.size() && sign_of(source_[exponent]) != '\0') ++exponent;
      if (const size_t digits = digits_length(exponent); digits != 0) {
        end = exponent + digits;
        is_float = true;
      }
    }
    return is_float ? end - at_ : 0;
  }

  bool lex_number() {
    if (!ascii_digit(peek())) return false;
    if (const size_t length = float_length(); length != 0) {
      std::string digits(rest().substr(0, length));
      std::erase(digits, '_');
      push(Tok::kFloat).number = parse_double(digits).value_or(0);
      advance(length);
      return true;
    }
    int base = 10;
    size_t at = at_;
    if (peek() == '0') {
      const char mark = static_cast<char>(peek(1) | 0x20);
      const int prefixed = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 0;
      const size_t first = peek(2) == '_' ? 3 : 2;
      if (prefixed != 0 && digit_value(peek(first)) < prefixed) {
        base = prefixed;
        at += 2;
      }
    }
    const bool zero = base == 10 && peek() == '0';
    Wide value = 0;
    while (at < source_.size()) {
      if (source_[at] == '_' && at + 1 < source_.size() && digit_value(source_[at + 1]) < base &&
          !(zero && source_[at + 1] != '0')) {
        ++at;
      }
      const int digit = digit_value(source_[at]);
      if (digit >= base || (zero && digit != 0)) break;
      if (value > (kMaxWide - digit) / base) return fail("the integer is too large"), true;
      value = value * base + digit;
      ++at;
    }
    push(Tok::kInteger).integer = value;
    advance(at - at_);
    return true;
  }

  bool lex_name() {
    size_t at = at_;
    while (at < source_.size()) {
      size_t after = at;
      const CodePoint c = next_code_point(source_, after);
      const bool ascii_letter = c < 0x80 && ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
      if (c != '_' && !ascii_letter && !(c < 0x80 && ascii_digit(static_cast<char>(c))) &&
          !(c >= 0x80 && is_alnum(c))) {
        break;
      }
      at = after;
    }
    if (at == at_) return false;
    push(Tok::kName).text = rest().substr(0, at - at_);
    advance(at - at_);
    return true;
  }

  bool lex_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return fail("a string is not closed"), true;
    Result<std::string> text = decode_string_literal(std::string_view(source_).substr(at_ + 1, end - at_ - 1));
    if (!text.ok()) return fail(text.status().message()), true;
    push(Tok::kString).text = *std::move(text);
    advance(end + 1 - at_);
    return true;
  }

  void lex_operator(std::string& open) {
    for (const OperatorSpelling& op : kOperators) {
      if (!starts(op.text)) continue;
      const char c = op.text[0];
      if (c == '(') open += ')';
      if (c == '[') open += ']';
      if (c == '{') open += '}';
      if (c == ')' || c == ']' || c == '}') {
        if (open.empty()) return fail("unexpected '" + std::string(1, c) + "'");
        if (open.back() != c) {
          return fail("unexpected '" + std::string(1, c) + "', expected '" + std::string(1, open.back()) + "'");
        }
        open.pop_back();
      }
      push(op.type);
      return advance(op.text.size());
    }
    size_t after = at_;
    next_code_point(source_, after);
    fail("unexpected character '" + source_.substr(at_, after - at_) + "'");
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
  Status error_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(normalize(source)).run(); }

std::string_view describe(Tok type) {
  for (const OperatorSpelling& op : kOperators) {
    if (op.type == type) return op.text;
  }
  switch (type) {
    case Tok::kData:
      return "text";
    case Tok::kVariableBegin:
      return "begin of print statement";
    case Tok::kVariableEnd:
      return "end of print statement";
    case Tok::kBlockBegin:
      return "begin of statement block";
    case Tok::kBlockEnd:
      return "end of statement block";
    case Tok::kName:
      return "name";
    case Tok::kString:
      return "string";
    case Tok::kInteger:
      return "integer";
    case Tok::kFloat:
      return "float";
    default:
      return "end of template";
  }
}

std::string describe(const Token& token) {
  return token.type == Tok::kName ? token.text : std::string(describe(token.type));
}

}  // namespace strata::jinja
