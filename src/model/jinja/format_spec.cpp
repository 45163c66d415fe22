#include "model/jinja/format_spec.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "model/jinja/numbers.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

constexpr int64_t kMaxPrecision = 1000;

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

bool read_number(std::string_view text, size_t& at, int64_t& out) {
  const size_t begin = at;
  int64_t value = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value < (int64_t{1} << 40)) {
    value = value * 10 + (text[at++] - '0');
  }
  if (at > begin) out = value;
  return at > begin;
}

std::string with_groups(std::string_view digits, char group, size_t every) {
  if (group == '\0') return std::string(digits);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out += group;
    out += digits[i];
  }
  return out;
}

// Sign, prefix and digits, padded; '=' pads behind the sign, with zeros grouped like the digits.
void append_number(Render& render, std::string& out, bool negative, std::string prefix, std::string_view whole,
                   std::string_view rest, const FormatSpec& spec, size_t group_every) {
  const char sign = negative ? '-' : spec.sign == '+' || spec.sign == ' ' ? spec.sign : '\0';
  if (sign != '\0') prefix.insert(prefix.begin(), sign);
  std::string digits(whole);
  const bool zeros = spec.align == '=' && spec.fill == "0";
  std::string grouped = with_groups(digits, spec.group, group_every);
  if (zeros && render.check_text(static_cast<size_t>(spec.width))) {
    const size_t wanted = static_cast<size_t>(spec.width);
    while (prefix.size() + grouped.size() + rest.size() < wanted) {
      if (spec.group == '\0') {
        grouped.insert(0, wanted - prefix.size() - grouped.size() - rest.size(), '0');
      } else {
        digits.insert(0, "0");
        grouped = with_groups(digits, spec.group, group_every);
      }
      if (!render.work(grouped.size())) return;
    }
    out += prefix + grouped + std::string(rest);
    return;
  }
  if (spec.align == '=') {
    FormatSpec inner = spec;
    inner.align = '>';
    inner.width = std::max<int64_t>(0, spec.width - static_cast<int64_t>(prefix.size()));
    out += prefix;
    append_padded(render, out, grouped + std::string(rest), inner, '>');
    return;
  }
  append_padded(render, out, prefix + grouped + std::string(rest), spec, '>');
}

std::string general(double value, int precision, bool alternate) {
  char buffer[1200];
  if (precision == 0) precision = 1;
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific, precision - 1).ptr;
  const std::string_view scientific(buffer, static_cast<size_t>(end - buffer));
  const size_t mark = scientific.find('e');
  int exponent = 0;
  std::from_chars(scientific.data() + mark + (scientific[mark + 1] == '+' ? 2 : 1), end, exponent);
  std::string digits;
  std::string tail;
  if (exponent < -4 || exponent >= precision) {
    digits = scientific.substr(0, mark);
    tail = scientific.substr(mark);
  } else {
    end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, precision - 1 - exponent).ptr;
    digits = std::string(buffer, end);
  }
  if (!alternate && digits.find('.') != std::string::npos) {
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
  }
  return digits + tail;
}

}  // namespace

bool parse_format_spec(Render& render, std::string_view text, FormatSpec& out) {
  size_t at = 0;
  if (!text.empty()) {
    size_t after = 0;
    next_code_point(text, after);
    if (after < text.size() && is_align(text[after])) {
      out.fill = text.substr(0, after);
      out.align = text[after];
      at = after + 1;
    } else if (is_align(text[0])) {
      out.align = text[0];
      at = 1;
    }
  }
  const auto accept = [&](std::string_view chars, char& into) {
    if (at < text.size() && chars.find(text[at]) != std::string_view::npos) into = text[at++];
  };
  accept("+- ", out.sign);
  char mark = '\0';
  accept("#", mark);
  out.alternate = mark != '\0';
  mark = '\0';
  accept("0", mark);
  if (mark != '\0' && out.align == '\0') {
    out.fill = "0";
    out.align = '=';
  }
  read_number(text, at, out.width);
  accept(",_", out.group);
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!read_number(text, at, out.precision)) {
      render.fail("format specifier missing precision");
      return false;
    }
  }
  if (at < text.size()) out.type = text[at++];
  if (at != text.size() || out.width > (int64_t{1} << 32)) {
    render.fail("invalid format specifier '" + std::string(text) + "'");
    return false;
  }
  return true;
}

void append_padded(Render& render, std::string& out, std::string_view text, const FormatSpec& spec,
                   char default_align) {
  const int64_t length = static_cast<int64_t>(count_code_points(text));
  const int64_t missing = std::max<int64_t>(0, spec.width - length);
  if (!render.check_text(out.size() + text.size() + static_cast<size_t>(missing) * spec.fill.size())) return;
  if (!render.work(static_cast<size_t>(missing))) return;
  const char align = spec.align == '\0' ? default_align : spec.align;
  const int64_t left = align == '>' || align == '=' ? missing : align == '^' ? missing / 2 : 0;
  for (int64_t i = 0; i < left; ++i) out += spec.fill;
  out += text;
  for (int64_t i = left; i < missing; ++i) out += spec.fill;
}

void append_formatted_integer(Render& render, std::string& out, Wide value, const FormatSpec& spec) {
  unsigned base = 10;
  std::string prefix;
  switch (spec.type) {
    case '\0':
    case 'd':
    case 'i':
    case 'u':
    case 'n':
      break;
    case 'b':
      base = 2;
      prefix = "0b";
      break;
    case 'o':
      base = 8;
      prefix = "0o";
      break;
    case 'x':
      base = 16;
      prefix = "0x";
      break;
    case 'X':
      base = 16;
      prefix = "0X";
      break;
    case 'c': {
      if (value < 0 || value > 0x10FFFF) {
        render.fail("%c arg not in range(0x110000)");
        return;
      }
      std::string character;
      append_utf8(character, static_cast<CodePoint>(value));
      append_padded(render, out, character, spec, '<');
      return;
    }
    default:
      append_formatted_float(render, out, static_cast<double>(value), spec);
      return;
  }
  std::string digits = integer_text(value, base);
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  if (spec.type == 'X') digits = to_upper(digits);
  if (!spec.alternate) prefix.clear();
  append_number(render, out, negative, prefix, digits, {}, spec, base == 10 ? 3 : 4);
}

void append_formatted_float(Render& render, std::string& out, double value, const FormatSpec& spec) {
  if (spec.precision > kMaxPrecision) {
    render.fail("the precision is too large");
    return;
  }
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double size = std::fabs(value);
  const char lower = static_cast<char>(spec.type | 0x20);
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  std::string digits;
  char buffer[1600];
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
    if (spec.type == '%') digits += '%';
  } else if (spec.type == '\0') {
    if (spec.precision < 0) {
      append_float(digits, size);
    } else {
      digits = general(size, precision, false);
      if (digits.find_first_of(".e") == std::string::npos) {
        // like 'g', with at least one digit behind the point, which a too small precision turns into an exponent
        if (static_cast<int>(digits.size()) >= std::max(precision, 1)) {
          const auto end = std::to_chars(buffer, buffer + sizeof buffer, size, std::chars_format::scientific,
                                         std::max(precision, 1) - 1)
                               .ptr;
          digits = std::string(buffer, end);
        } else {
          digits += ".0";
        }
      }
    }
  } else if (lower == 'f' || spec.type == '%') {
    const double shown = spec.type == '%' ? size * 100 : size;
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, shown, std::chars_format::fixed, precision).ptr;
    digits = std::string(buffer, end);
    if (spec.alternate && precision == 0) digits += '.';
    if (spec.type == '%') digits += '%';
  } else if (lower == 'e') {
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, size, std::chars_format::scientific, precision).ptr;
    digits = std::string(buffer, end);
  } else if (lower == 'g' || lower == 'n') {
    digits = general(size, precision, spec.alternate);
  } else {
    render.fail("unknown format code '" + std::string(1, spec.type) + "' for object of type 'float'");
    return;
  }
  if (spec.type >= 'A' && spec.type <= 'Z') digits = to_upper(digits);
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  append_number(render, out, negative, {}, std::string_view(digits).substr(0, whole),
                std::string_view(digits).substr(whole), spec, 3);
}

void append_formatted(Render& render, std::string& out, const Value& value, const FormatSpec& spec) {
  const auto wrong_code = [&] {
    render.fail("unknown format code '" + std::string(1, spec.type) + "' for object of type '" +
                std::string(type_name(value.kind)) + "'");
  };
  if (value.is(Kind::kFloat)) {
    append_formatted_float(render, out, value.number, spec);
  } else if (value.is_integral() && !(value.is(Kind::kBool) && spec.type == '\0' && spec.width == 0)) {
    if (spec.type == 's') return wrong_code();
    append_formatted_integer(render, out, value.as_wide(), spec);
  } else if (value.is_string() || value.is_undefined() || value.is(Kind::kBool)) {
    if (spec.type != '\0' && spec.type != 's') return wrong_code();
    if (spec.align == '=' && spec.fill != "0") {
      render.fail("'=' alignment not allowed in string format specifier");
      return;
    }
    const std::string owned = render.to_text(value);
    std::string_view text = owned;
    if (spec.precision >= 0) text = text.substr(0, byte_offset(text, static_cast<size_t>(spec.precision)));
    FormatSpec padded = spec;
    if (padded.align == '=') padded.align = '<';
    append_padded(render, out, text, padded, '<');
  } else {
    if (spec.type != '\0' || spec.width != 0 || spec.precision >= 0 || spec.align != '\0') {
      render.fail("unsupported format string passed to " + std::string(type_name(value.kind)) + ".__format__");
      return;
    }
    render.append_text(out, value);
  }
}

}  // namespace strata::jinja
