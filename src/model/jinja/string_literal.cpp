#include "model/jinja/string_literal.h"

#include <charconv>
#include <limits>

#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

// Jinja reads literals through ASCII, so that "\é" is a backslash and the text "xe9".
void append_ascii_spelling(std::string& out, CodePoint c) {
  constexpr char kHex[] = "0123456789abcdef";
  const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
  out += digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHex[c >> shift & 0xF];
}

bool read_hex(std::string_view body, size_t& at, int digits, CodePoint& value) {
  value = 0;
  for (int i = 0; i < digits; ++i, ++at) {
    const int digit = at < body.size() ? digit_of(body[at]) : 99;
    if (digit >= 16) return false;
    value = value * 16 + static_cast<CodePoint>(digit);
  }
  return value < 0x110000;
}

// Removes the underscores between digits; nullopt when one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || digit_of(text[i - 1]) == 99 || digit_of(text[i + 1]) == 99) {
      return std::nullopt;
    }
  }
  return out;
}

// Other scripts' digits as 0..9, as int() and float() take them.
std::string ascii_digits(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (c < 0x80 || !is_decimal(c)) {
      append_utf8(out, c);
      continue;
    }
    CodePoint zero = c;  // decimal digits come in runs of ten that start with zero
    while (zero > c - 9 && is_decimal(zero - 1)) --zero;
    out += static_cast<char>('0' + (c - zero) % 10);
  }
  return out;
}

}  // namespace

Result<std::string> decode_string_literal(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  for (size_t at = 0; at < body.size();) {
    if (body[at] != '\\') {
      out += body[at++];
      continue;
    }
    if (++at == body.size()) return invalid_argument("\\ at end of string");
    if (static_cast<unsigned char>(body[at]) >= 0x80) {
      out += '\\';
      append_ascii_spelling(out, next_code_point(body, at));
      continue;
    }
    const char escape = body[at++];
    CodePoint value = 0;
    switch (escape) {
      case '\n':
        break;
      case '\\':
      case '\'':
      case '"':
        out += escape;
        break;
      case 'a':
        out += '\a';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'v':
        out += '\v';
        break;
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7':
        value = static_cast<CodePoint>(escape - '0');
        for (int i = 0; i < 2 && at < body.size() && body[at] >= '0' && body[at] <= '7'; ++i) {
          value = value * 8 + static_cast<CodePoint>(body[at++] - '0');
        }
        append_utf8(out, value);
        break;
      case 'x':
      case 'u':
      case 'U':
        if (!read_hex(body, at, escape == 'x' ? 2 : escape == 'u' ? 4 : 8, value)) {
          return invalid_argument("truncated or wrong \\" + std::string(1, escape) + " escape in a string");
        }
        append_utf8(out, value);
        break;
      case 'N':
        return invalid_argument("\\N{name} escapes are not supported (write the character itself)");
      default:
        out += '\\';
        out += escape;
    }
  }
  return out;
}

std::optional<double> parse_double(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text[0] == '-' || text[0] == '+') return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {  // too large is infinite, too small is zero
    const size_t exponent = text.find_first_of("eE");
    const bool small =
        exponent != std::string_view::npos ? text.substr(exponent + 1).starts_with('-') : text.starts_with("0.");
    value = small ? 0.0 : std::numeric_limits<double>::infinity();
  } else if (error != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::optional<double> parse_python_float(std::string_view text) {
  const std::optional<std::string> digits = without_underscores(ascii_digits(strip(text, nullptr, true, true)));
  if (!digits || digits->find('(') != std::string::npos) return std::nullopt;  // from_chars takes nan(...)
  return parse_double(*digits);
}

std::optional<Wide> parse_python_int(std::string_view text, int base) {
  std::string digits = ascii_digits(strip(text, nullptr, true, true));
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  if (digits.size() > 2 && digits[0] == '0') {
    const char mark = static_cast<char>(digits[1] | 0x20);
    const int prefixed = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 0;
    if (prefixed != 0 && (base == prefixed || base == 0)) {
      base = prefixed;
      digits.erase(0, digits[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0) {
    base = 10;
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of("0_") != std::string::npos)
      return std::nullopt;
  }
  const std::optional<std::string> plain = without_underscores(digits);
  if (!plain || plain->empty()) return std::nullopt;
  Wide value = 0;
  for (const char c : *plain) {
    const int digit = digit_of(c);
    if (digit >= base || value > (kMaxWide - digit) / base) return std::nullopt;
    value = value * base + digit;
  }
  return negative ? -value : value;
}

}  // namespace strata::jinja
