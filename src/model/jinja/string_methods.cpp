// Methods of str. Positions are in characters, as in Python.
#include <algorithm>

#include "model/jinja/markup.h"
#include "model/jinja/printf.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

// A text of the same markedness as `self`.
Value like(Render& render, const Value& self, std::string_view text) {
  return self.text->markup ? render.markup(text) : render.text(text);
}
// The same for a piece of the text itself, which is not copied.
Value piece(Render& render, const Value& self, std::string_view part) {
  return Arena::from_text(render.arena().make<Text>(Text{part, self.text->markup}));
}

bool read_string(Render& render, const Value& value, std::string_view& out) {
  if (value.is_string()) {
    out = value.string();
    return true;
  }
  if (value.is_undefined())
    render.fail_undefined(value);
  else
    render.fail("must be str, not " + std::string(type_name(value.kind)));
  return false;
}

using Convert = std::string (*)(std::string_view);
template <Convert convert>
Value converted(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments) || !render.work(self.string().size())) return {};
  return like(render, self, convert(self.string()));
}

template <bool left, bool right>
Value stripped(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"chars"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  if (!p.given(0) || p[0].is_none()) return piece(render, self, strip(self.string(), nullptr, left, right));
  std::string_view chars;
  if (!read_string(render, p[0], chars) || !render.work(self.string().size() + chars.size())) return {};
  return piece(render, self, strip(self.string(), &chars, left, right));
}

// The part of the text between two optional character positions, and where it begins. `found` is false when the start
// lies behind the end of the text.
struct Window {
  std::string_view text;
  int64_t first = 0;
  bool inside = true;
};
bool read_window(Render& render, const Value& self, const Value* start, const Value* end, Window& out) {
  const int64_t n = static_cast<int64_t>(self.text->length());
  int64_t from = 0, to = n;
  if (start != nullptr && !start->is_none() && !read_index(render, *start, from)) return false;
  if (end != nullptr && !end->is_none() && !read_index(render, *end, to)) return false;
  if (from < 0) from = std::max<int64_t>(0, from + n);
  if (to < 0) to = std::max<int64_t>(0, to + n);
  to = std::min(to, n);
  out.inside = from <= n && from <= to;
  out.first = from;
  if (!out.inside) return true;
  if (self.text->ascii()) {
    out.text = self.string().substr(static_cast<size_t>(from), static_cast<size_t>(to - from));
  } else {
    const size_t begin = byte_offset(self.string(), static_cast<size_t>(from));
    const std::string_view rest = self.string().substr(begin);
    out.text = rest.substr(0, byte_offset(rest, static_cast<size_t>(to - from)));
  }
  return true;
}

template <bool at_start>
Value starts_or_ends(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"prefix", "start", "end"};
  const Parameters p(render, arguments, kNames, 1);
  Window window;
  if (!p.ok || !read_window(render, self, p.find(1), p.find(2), window)) return {};
  const auto matches = [&](const Value& affix, bool& result) {
    std::string_view text;
    if (!read_string(render, affix, text)) return false;
    result = window.inside && (at_start ? window.text.starts_with(text) : window.text.ends_with(text));
    return true;
  };
  bool result = false;
  if (!p[0].is(Kind::kTuple)) {
    matches(p[0], result);
  } else {
    for (const Value& affix : p[0].sequence->items) {
      if (!render.step() || !matches(affix, result) || result) break;
    }
  }
  return boolean(result);
}

template <bool last, bool must_exist>
Value position(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"sub", "start", "end"};
  const Parameters p(render, arguments, kNames, 1);
  Window window;
  std::string_view wanted;
  if (!p.ok || !read_string(render, p[0], wanted) || !render.work(self.string().size())) return {};
  if (!read_window(render, self, p.find(1), p.find(2), window)) return {};
  const size_t at = !window.inside ? std::string_view::npos
                    : last         ? window.text.rfind(wanted)
                                   : window.text.find(wanted);
  if (at != std::string_view::npos) {
    return integer(window.first + static_cast<int64_t>(count_code_points(window.text.substr(0, at))));
  }
  return must_exist ? render.fail("substring not found") : integer(-1);
}

Value count(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"sub", "start", "end"};
  const Parameters p(render, arguments, kNames, 1);
  Window window;
  std::string_view wanted;
  if (!p.ok || !read_string(render, p[0], wanted) || !render.work(self.string().size())) return {};
  if (!read_window(render, self, p.find(1), p.find(2), window) || !window.inside) return integer(0);
  if (wanted.empty()) return integer(static_cast<int64_t>(count_code_points(window.text)) + 1);
  int64_t found = 0;
  for (size_t at = window.text.find(wanted); at != std::string_view::npos;
       at = window.text.find(wanted, at + wanted.size())) {
    ++found;
  }
  return integer(found);
}

Value replace(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"old", "new", "count"};
  const Parameters p(render, arguments, kNames, 2);
  std::string_view old_text, new_text;
  int64_t limit = -1;
  if (!p.ok || !read_string(render, p[0], old_text) || !read_string(render, p[1], new_text)) return {};
  if (p.given(2) && !read_index(render, p[2], limit)) return {};
  std::string escaped;
  if (self.text->markup && !p[1].text->markup) {
    escaped = escape_markup(new_text);
    new_text = escaped;
  }
  std::string out;
  if (!replace_text(render, self.string(), old_text, new_text, limit, out)) return {};
  return like(render, self, out);
}

Value split_on_space(Render& render, const Value& self, int64_t limit, bool from_right) {
  Value out = render.list();
  Values& parts = out.sequence->items;
  std::string_view rest = self.string();
  while (!render.failed()) {
    rest = strip(rest, nullptr, !from_right, from_right);
    if (rest.empty()) break;
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.push_back(piece(render, self, rest));
      break;
    }
    size_t word_begin = 0, word_end = rest.size();
    if (from_right) {
      for (size_t at = 0; at < rest.size();) {
        if (is_space(next_code_point(rest, at))) word_begin = at;
      }
      render.work(rest.size());
    } else {
      for (size_t at = 0; at < rest.size();) {
        const size_t begin = at;
        if (!is_space(next_code_point(rest, at))) continue;
        word_end = begin;
        break;
      }
    }
    parts.push_back(piece(render, self, rest.substr(word_begin, word_end - word_begin)));
    rest = from_right ? rest.substr(0, word_begin) : rest.substr(word_end);
    if (!render.step()) return {};
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return out;
}

template <bool from_right>
Value split(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"sep", "maxsplit"};
  const Parameters p(render, arguments, kNames);
  int64_t limit = -1;
  if (!p.ok || !render.work(self.string().size()) || (p.given(1) && !read_index(render, p[1], limit))) return {};
  if (!p.given(0) || p[0].is_none()) return split_on_space(render, self, limit, from_right);
  std::string_view separator;
  if (!read_string(render, p[0], separator)) return {};
  if (separator.empty()) return render.fail("empty separator");
  Value out = render.list();
  Values& parts = out.sequence->items;
  std::string_view rest = self.string();
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = from_right ? rest.rfind(separator) : rest.find(separator);
    if (at == std::string_view::npos) break;
    if (!render.step()) return {};
    const size_t after = at + separator.size();
    parts.push_back(piece(render, self, from_right ? rest.substr(after) : rest.substr(0, at)));
    rest = from_right ? rest.substr(0, at) : rest.substr(after);
  }
  parts.push_back(piece(render, self, rest));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return out;
}

Value split_lines(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"keepends"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok || !render.work(self.string().size())) return {};
  Value out = render.list();
  for (const std::string_view line : lines_of(self.string(), p.given(0) && render.truth(p[0]))) {
    if (!render.step()) return {};
    out.sequence->items.push_back(piece(render, self, line));
  }
  return out;
}

template <bool from_right>
Value partition(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"sep"};
  const Parameters p(render, arguments, kNames, 1);
  std::string_view separator;
  if (!p.ok || !read_string(render, p[0], separator) || !render.work(self.string().size())) return {};
  if (separator.empty()) return render.fail("empty separator");
  const std::string_view text = self.string();
  const size_t at = from_right ? text.rfind(separator) : text.find(separator);
  const Value empty = piece(render, self, {});
  if (at == std::string_view::npos) {
    return from_right ? render.arena().tuple({empty, empty, self}) : render.arena().tuple({self, empty, empty});
  }
  return render.arena().tuple({piece(render, self, text.substr(0, at)), piece(render, self, separator),
                               piece(render, self, text.substr(at + separator.size()))});
}

Value join(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"iterable"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  std::string out;
  Cursor cursor(render, p[0]);
  Value item;
  for (size_t i = 0; !render.failed() && cursor.next(render, item); ++i) {
    if (!item.is_string()) {
      if (item.is_undefined()) return render.fail_undefined(item);
      return render.fail("sequence item " + std::to_string(i) + ": expected str instance, " +
                         std::string(type_name(item.kind)) + " found");
    }
    if (!render.check_text(out.size() + self.string().size() + item.string().size())) return {};
    if (i > 0) out += self.string();
    if (self.text->markup && !item.text->markup)
      out += escape_markup(item.string());
    else
      out += item.string();
  }
  render.work(out.size());
  return render.failed() ? Value() : like(render, self, out);
}

template <bool prefix>
Value remove_affix(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"affix"};
  const Parameters p(render, arguments, kNames, 1);
  std::string_view affix;
  if (!p.ok || !read_string(render, p[0], affix)) return {};
  std::string_view text = self.string();
  if (prefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!prefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return piece(render, self, text);
}

enum class Side { kLeft, kRight, kCenter };
template <Side side>
Value justified(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"width", "fillchar"};
  const Parameters p(render, arguments, kNames, 1);
  int64_t width = 0;
  std::string_view fill = " ";
  if (!p.ok || !read_index(render, p[0], width) || (p.given(1) && !read_string(render, p[1], fill))) return {};
  if (count_code_points(fill) != 1) return render.fail("the fill character must be exactly one character long");
  const int64_t missing = std::max<int64_t>(0, width - static_cast<int64_t>(self.text->length()));
  if (!render.check_text(static_cast<size_t>(missing)) || !render.work(static_cast<size_t>(missing))) return {};
  const int64_t left = side == Side::kLeft ? 0 : side == Side::kRight ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i) out += fill;
  out += self.string();
  for (int64_t i = left; i < missing; ++i) out += fill;
  return like(render, self, out);
}

Value zero_filled(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"width"};
  const Parameters p(render, arguments, kNames, 1);
  int64_t width = 0;
  if (!p.ok || !read_index(render, p[0], width)) return {};
  const int64_t missing = std::max<int64_t>(0, width - static_cast<int64_t>(self.text->length()));
  if (!render.check_text(static_cast<size_t>(missing)) || !render.work(static_cast<size_t>(missing))) return {};
  std::string out(self.string());
  const bool sign = out.starts_with('-') || out.starts_with('+');
  out.insert(sign ? 1 : 0, static_cast<size_t>(missing), '0');
  return like(render, self, out);
}

Value expand_tabs(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"tabsize"};
  const Parameters p(render, arguments, kNames);
  int64_t size = 8;
  if (!p.ok || (p.given(0) && !read_index(render, p[0], size))) return {};
  std::string out;
  int64_t column = 0;
  const std::string_view text = self.string();
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (c == '\t') {
      const int64_t spaces = size > 0 ? size - column % size : 0;
      if (!render.check_text(out.size() + static_cast<size_t>(spaces))) return {};
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
      continue;
    }
    append_utf8(out, c);
    column = c == '\n' || c == '\r' ? 0 : column + 1;
  }
  render.work(out.size());
  return like(render, self, out);
}

Value format(Render& render, const Value& self, const Arguments& arguments) {
  return brace_format(render, self.string(), arguments);
}

Value format_map(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"mapping"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  if (!p[0].is(Kind::kDict)) return render.fail("format_map() needs a mapping");
  std::pmr::vector<Keyword> keywords(render.arena().memory());
  for (const auto& [key, value] : p[0].dict->entries()) {
    if (key.is_string()) keywords.push_back({key.string(), value});
    if (!render.step()) return {};
  }
  return brace_format(render, self.string(), Arguments{{}, keywords});
}

constexpr MethodEntry kMethods[] = {
    {"strip", stripped<true, true>},
    {"split", split<false>},
    {"startswith", starts_or_ends<true>},
    {"endswith", starts_or_ends<false>},
    {"replace", replace},
    {"lstrip", stripped<true, false>},
    {"rstrip", stripped<false, true>},
    {"upper", converted<to_upper>},
    {"lower", converted<to_lower>},
    {"title", converted<to_title>},
    {"capitalize", converted<to_capitalized>},
    {"swapcase", converted<to_swapped_case>},
    {"casefold", converted<to_folded>},
    {"rsplit", split<true>},
    {"splitlines", split_lines},
    {"join", join},
    {"find", position<false, false>},
    {"rfind", position<true, false>},
    {"index", position<false, true>},
    {"rindex", position<true, true>},
    {"count", count},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"removeprefix", remove_affix<true>},
    {"removesuffix", remove_affix<false>},
    {"ljust", justified<Side::kLeft>},
    {"rjust", justified<Side::kRight>},
    {"center", justified<Side::kCenter>},
    {"zfill", zero_filled},
    {"expandtabs", expand_tabs},
    {"format", format},
    {"format_map", format_map},
};

}  // namespace

std::span<const MethodEntry> string_methods() { return kMethods; }

std::vector<std::string_view> lines_of(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const CodePoint c = next_code_point(text, at);
    if (!is_line_break(c)) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

bool replace_text(Render& render, std::string_view text, std::string_view old_text, std::string_view new_text,
                  int64_t limit, std::string& out) {
  if (!render.work(text.size())) return false;
  size_t at = 0;
  for (int64_t done = 0; limit < 0 || done < limit; ++done) {
    size_t found = old_text.empty() ? at : text.find(old_text, at);
    if (old_text.empty() && done > 0) {  // between every two characters, and at both ends
      if (at >= text.size()) break;
      next_code_point(text, found);
    }
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += new_text;
    at = found + old_text.size();
    if (!render.step(1 + static_cast<int64_t>(new_text.size() / 64)) || !render.check_text(out.size())) return false;
  }
  out += text.substr(std::min(at, text.size()));
  return render.check_text(out.size());
}

}  // namespace strata::jinja
