#include "model/jinja/printf.h"

#include <cmath>

#include "model/jinja/format_spec.h"
#include "model/jinja/markup.h"
#include "model/jinja/string_literal.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

std::string ascii_repr(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (c < 0x80) {
      out += static_cast<char>(c);
      continue;
    }
    const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
    out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHex[c >> shift & 0xF];
  }
  return out;
}

class PrintfFormatter {
 public:
  PrintfFormatter(Render& render, const Value& format, const Value& values)
      : render_(render), format_(format.string()), values_(values), markup_(format.text->markup) {}

  Value run() {
    std::string out;
    while (at_ < format_.size() && !render_.failed()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out += format_.substr(at_, percent - at_);
      at_ = percent;
      if (percent < format_.size()) convert(out);
      if (!render_.check_text(out.size())) return {};
    }
    render_.work(out.size());
    // Python takes whatever can be subscripted for a mapping, which need not be used.
    const bool mapping =
        values_.is(Kind::kDict) || values_.is(Kind::kList) || values_.is(Kind::kRange) || values_.is_undefined();
    const bool single_unused = !mapping && used_ == 0;
    if (values_.is(Kind::kTuple) ? used_ < values_.sequence->items.size() && !named_ : single_unused) {
      return render_.fail("not all arguments converted during string formatting");
    }
    if (render_.failed()) return {};
    return markup_ ? render_.markup(out) : render_.text(out);
  }

 private:
  Value next_value() {
    if (values_.is(Kind::kTuple)) {
      if (used_ < values_.sequence->items.size()) return values_.sequence->items[used_++];
    } else if (used_++ == 0) {
      return values_;
    }
    return render_.fail("not enough arguments for format string");
  }

  int64_t star_or_number(bool& given) {
    given = true;
    int64_t value = 0;
    if (peek() == '*') {
      ++at_;
      read_index(render_, next_value(), value);
      return value;
    }
    given = false;
    while (peek() >= '0' && peek() <= '9' && value < (int64_t{1} << 32)) {
      value = value * 10 + (format_[at_++] - '0');
      given = true;
    }
    return value;
  }

  char peek() const { return at_ < format_.size() ? format_[at_] : '\0'; }

  void convert(std::string& out) {
    ++at_;
    Value named;
    bool has_name = false;
    if (peek() == '(') {
      const size_t begin = at_ + 1;
      int open = 0;
      do {
        if (at_ >= format_.size()) {
          render_.fail("incomplete format key");
          return;
        }
        open += peek() == '(' ? 1 : peek() == ')' ? -1 : 0;
        ++at_;
      } while (open > 0);
      if (!values_.is(Kind::kDict)) {
        render_.fail("format requires a mapping");
        return;
      }
      const Value* found = values_.dict->find(format_.substr(begin, at_ - 1 - begin));
      if (found == nullptr) {
        render_.fail("no value for the format key '" + std::string(format_.substr(begin, at_ - 1 - begin)) + "'");
        return;
      }
      named = *found;
      has_name = named_ = true;
    }
    FormatSpec spec;
    bool left = false, zero = false;
    for (; std::string_view("-+ #0").find(peek()) != std::string_view::npos && peek() != '\0'; ++at_) {
      left |= peek() == '-';
      zero |= peek() == '0';
      spec.alternate |= peek() == '#';
      if (peek() == '+' || (peek() == ' ' && spec.sign != '+')) spec.sign = peek();
    }
    bool given = false;
    spec.width = star_or_number(given);
    if (spec.width < 0) {
      left = true;
      spec.width = -spec.width;
    }
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(0, star_or_number(given));
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    if (at_ >= format_.size()) {
      render_.fail("incomplete format");
      return;
    }
    const char type = format_[at_++];
    if (type == '%') {
      out += '%';
      return;
    }
    spec.align = left ? '<' : zero && type != 's' && type != 'r' && type != 'c' && type != 'a' ? '=' : '>';
    if (spec.align == '=') spec.fill = "0";
    const Value value = has_name ? named : next_value();
    if (!render_.failed()) append_value(out, value, type, spec);
  }

  void append_value(std::string& out, const Value& value, char type, FormatSpec& spec) {
    switch (type) {
      case 's':
      case 'r':
      case 'a': {
        std::string text;
        if (type == 's')
          render_.append_text(text, value);
        else
          render_.append_repr(text, value);
        if (type == 'a') text = ascii_repr(text);
        if (markup_ && !(value.is_string() && value.text->markup)) text = escape_markup(text);
        if (spec.precision >= 0) text.resize(byte_offset(text, static_cast<size_t>(spec.precision)));
        append_padded(render_, out, text, spec, '>');
        return;
      }
      case 'c':
        if (value.is_string() && value.text->length() == 1) {
          append_padded(render_, out, value.string(), spec, '>');
        } else if (value.is_integral()) {
          spec.type = 'c';
          append_formatted_integer(render_, out, value.as_wide(), spec);
        } else {
          render_.fail("%c requires int or char");
        }
        return;
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        append_integer_conversion(out, value, type, spec);
        return;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        spec.type = type;
        if (!value.is_number()) {
          render_.fail("must be real number, not " + std::string(type_name(value.kind)));
          return;
        }
        append_formatted_float(render_, out, value.as_double(), spec);
        return;
      default:
        render_.fail("unsupported format character '" + std::string(1, type) + "'");
    }
  }

  void append_integer_conversion(std::string& out, const Value& value, char type, FormatSpec& spec) {
    spec.type = type;
    const bool decimal = type == 'd' || type == 'i' || type == 'u';
    Wide number = 0;
    if (value.is_integral()) {
      number = value.as_wide();
    } else if (value.is(Kind::kFloat) && decimal && std::fabs(value.number) < 1e37) {
      number = static_cast<Wide>(value.number);
    } else {
      render_.fail("%" + std::string(1, type) + " format: a number is required, not " +
                   std::string(type_name(value.kind)));
      return;
    }
    if (spec.precision > 0) {  // at least so many digits
      FormatSpec digits = spec;
      digits.width = spec.precision + (number < 0 || spec.sign != '\0' ? 1 : 0);
      digits.fill = "0";
      digits.align = '=';
      std::string text;
      append_formatted_integer(render_, text, number, digits);
      if (spec.align == '=') spec.align = '>', spec.fill = " ";
      append_padded(render_, out, text, spec, '>');
      return;
    }
    append_formatted_integer(render_, out, number, spec);
  }

  Render& render_;
  std::string_view format_;
  const Value& values_;
  const bool markup_;
  size_t at_ = 0;
  size_t used_ = 0;
  bool named_ = false;
};

class BraceFormatter {
 public:
  BraceFormatter(Render& render, const Arguments& arguments) : render_(render), arguments_(arguments) {}

  void run(std::string_view format, std::string& out, int depth) {
    for (size_t at = 0; at < format.size() && !render_.failed();) {
      const char c = format[at];
      if ((c == '{' || c == '}') && at + 1 < format.size() && format[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '}') {
        render_.fail("single '}' encountered in format string");
      } else if (c == '{') {
        at = field(format, at + 1, out, depth);
      } else {
        out += c;
        ++at;
      }
      if (!render_.check_text(out.size())) return;
    }
    render_.work(out.size());
  }

 private:
  // Behind the opening brace; gives the place behind the closing one.
  size_t field(std::string_view format, size_t begin, std::string& out, int depth) {
    int open = 1;
    size_t end = begin;
    for (; end < format.size() && open > 0; ++end) open += format[end] == '{' ? 1 : format[end] == '}' ? -1 : 0;
    if (open > 0 || depth > 1) {
      render_.fail(depth > 1 ? "max string recursion exceeded" : "expected '}' before end of string");
      return format.size();
    }
    const std::string_view body = format.substr(begin, end - 1 - begin);
    size_t name_end = 0;
    bool bracket = false;
    while (name_end < body.size() && (bracket || (body[name_end] != ':' && body[name_end] != '!'))) {
      bracket = body[name_end] == '[' || (bracket && body[name_end] != ']');
      ++name_end;
    }
    Value value = lookup(body.substr(0, name_end));
    std::string_view rest = body.substr(name_end);
    if (rest.starts_with('!')) {
      const char conversion = rest.size() > 1 ? rest[1] : '\0';
      if ((rest.size() > 2 && rest[2] != ':') || (conversion != 's' && conversion != 'r' && conversion != 'a')) {
        render_.fail("unknown conversion specifier in format string");
        return end;
      }
      std::string text;
      if (conversion == 's')
        render_.append_text(text, value);
      else
        render_.append_repr(text, value);
      value = render_.text(conversion == 'a' ? ascii_repr(text) : text);
      rest = rest.substr(2);
    }
    std::string spec_text;
    if (rest.starts_with(':')) run(rest.substr(1), spec_text, depth + 1);
    FormatSpec spec;
    if (!render_.failed() && parse_format_spec(render_, spec_text, spec)) append_formatted(render_, out, value, spec);
    return end;
  }

  Value lookup(std::string_view name) {
    const size_t head_end = std::min(name.find_first_of(".["), name.size());
    const std::string_view head = name.substr(0, head_end);
    Value value;
    const std::optional<Wide> index = parse_python_int(head, 10);
    if (head.empty() || index) {
      const size_t at = head.empty() ? next_++ : static_cast<size_t>(*index);
      if (at >= arguments_.positional.size()) {
        return render_.fail("replacement index " + std::to_string(at) + " out of range for positional args tuple");
      }
      value = arguments_.positional[at];
    } else {
      bool found = false;
      for (const Keyword& keyword : arguments_.keywords) {
        if (keyword.name != head) continue;
        value = keyword.value;
        found = true;
      }
      if (!found) return render_.fail("no value for the format field '" + std::string(head) + "'");
    }
    for (size_t at = head_end; at < name.size() && !render_.failed();) {
      const bool bracket = name[at] == '[';
      const size_t end = bracket ? name.find(']', at) : std::min(name.find_first_of(".[", at + 1), name.size());
      if (end == std::string_view::npos || end == at + 1) return render_.fail("empty attribute in format string");
      const std::string_view part = name.substr(at + 1, end - at - 1);
      const std::optional<Wide> number = bracket ? parse_python_int(part, 10) : std::nullopt;
      if (bracket) {
        value = render_.item(value, number ? render_.integer(*number) : render_.text(part));
        if (value.is_undefined()) return render_.fail_undefined(value);
      } else {
        value = render_.attribute(value, render_.text(part));
        if (value.is_undefined()) return render_.fail_undefined(value);
      }
      at = bracket ? end + 1 : end;
    }
    return value;
  }

  Render& render_;
  const Arguments& arguments_;
  size_t next_ = 0;
};

}  // namespace

Value printf_format(Render& render, const Value& format, const Value& values) {
  return PrintfFormatter(render, format, values).run();
}

Value brace_format(Render& render, std::string_view format, const Arguments& arguments) {
  std::string out;
  BraceFormatter(render, arguments).run(format, out, 0);
  return render.failed() ? Value() : render.text(out);
}

}  // namespace strata::jinja
