// Filters that make text of text.
#include <algorithm>

#include "model/jinja/attribute_path.h"
#include "model/jinja/printf.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

Value like(Render& render, bool markup, std::string_view text) {
  return markup ? render.markup(text) : render.text(text);
}

using Convert = std::string (*)(std::string_view);
template <Convert convert>
Value converted(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const SoftText soft(render, self);
  return like(render, soft.is_markup(), convert(soft.view()));
}

// Unlike str.title, words begin behind blanks, dashes and opening brackets only.
std::string title_words(std::string_view text) {
  std::string out;
  size_t word = 0;
  const auto flush = [&](size_t end) {
    if (end == word) return;
    size_t second = word;
    next_code_point(text, second);
    out += to_upper(text.substr(word, second - word));
    out += to_lower(text.substr(second, end - second));
  };
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const CodePoint c = next_code_point(text, at);
    if (c != '-' && c != '(' && c != '{' && c != '[' && c != '<' && !is_space(c)) continue;
    flush(begin);
    out += text.substr(begin, at - begin);
    word = at;
  }
  flush(text.size());
  return out;
}

Value trim(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"chars"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const SoftText soft(render, self);
  if (!p.given(0) || p[0].is_none()) {
    const std::string_view stripped = strip(soft.view(), nullptr, true, true);
    if (!self.is_string()) return render.text(stripped);
    return Arena::from_text(render.arena().make<Text>(Text{stripped, soft.is_markup()}));
  }
  if (!p[0].is_string()) return render.fail("strip arg must be None or str");
  const std::string_view chars = p[0].string();
  return like(render, soft.is_markup(), strip(soft.view(), &chars, true, true));
}

Value replace(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"old", "new", "count"};
  const Parameters p(render, arguments, kNames, 2);
  int64_t limit = -1;
  if (!p.ok || (p.given(2) && !p[2].is_none() && !read_index(render, p[2], limit))) return {};
  const SoftText text(render, self), old_text(render, p[0]), new_text(render, p[1]);
  std::string out;
  if (render.failed() || !replace_text(render, text.view(), old_text.view(), new_text.view(), limit, out)) return {};
  return render.text(out);
}

Value string(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  return self.is_string() ? self : render.text(render.to_text(self));
}

Value indent(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"width", "first", "blank"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  if (!self.is_string()) {
    if (self.is_undefined()) return render.fail_undefined(self);
    return render.fail("indent needs a string, not " + std::string(type_name(self.kind)));
  }
  std::string indention(4, ' ');
  if (p.given(0) && p[0].is_string()) {
    indention = p[0].string();
  } else if (p.given(0)) {
    int64_t width = 0;
    if (!read_index(render, p[0], width)) return {};
    width = std::max<int64_t>(width, 0);
    if (!render.check_text(static_cast<size_t>(width))) return {};
    indention.assign(static_cast<size_t>(width), ' ');
  }
  const bool blank = p.given(2) && render.truth(p[2]);
  std::string with_end(self.string());
  with_end += '\n';
  std::string out;
  if (p.given(1) && render.truth(p[1])) out += indention;
  bool first = true;
  for (const std::string_view line : lines_of(with_end)) {
    if (!first) out += '\n';
    if (!first && (blank || !line.empty())) out += indention;
    out += line;
    first = false;
    if (!render.work(line.size() + indention.size()) || !render.check_text(out.size())) return {};
  }
  return like(render, self.text->markup, out);
}

Value truncate(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"length", "killwords", "end", "leeway"};
  const Parameters p(render, arguments, kNames);
  int64_t length = 255, leeway = 5;
  std::string_view end = "...";
  if (!p.ok || (p.given(0) && !read_index(render, p[0], length))) return {};
  if (p.given(3) && !p[3].is_none() && !read_index(render, p[3], leeway)) return {};
  if (p.given(2)) {
    if (!p[2].is_string()) return render.fail("the end of a truncated text must be a string");
    end = p[2].string();
  }
  const int64_t end_length = static_cast<int64_t>(count_code_points(end));
  if (length < end_length) return render.fail("expected length >= " + std::to_string(end_length));
  if (leeway < 0) return render.fail("expected leeway >= 0");
  const std::optional<int64_t> n = render.length(self);
  if (n && *n <= length + leeway) return self;
  if (!self.is_string()) return render.fail("truncate needs a string, not " + std::string(type_name(self.kind)));
  std::string_view cut = self.string().substr(0, byte_offset(self.string(), static_cast<size_t>(length - end_length)));
  if (!(p.given(1) && render.truth(p[1]))) cut = cut.substr(0, cut.rfind(' '));
  return like(render, self.text->markup, std::string(cut) + std::string(end));
}

Value center(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"width"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const SoftText soft(render, self);
  const Value text = like(render, soft.is_markup(), soft.view());
  const Value width[] = {p.given(0) ? p[0] : integer(80)};
  if (render.failed()) return {};
  return find_method(Kind::kString, "center")->call(render, text, Arguments{width, {}});
}

Value format(Render& render, const Value& self, const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.keywords.empty()) {
    return render.fail("can't handle positional and keyword arguments at the same time");
  }
  const SoftText soft(render, self);
  Value values;
  if (!arguments.keywords.empty()) {
    values = render.arena().dict();
    for (const Keyword& keyword : arguments.keywords) values.dict->set(render.text(keyword.name), keyword.value);
  } else {
    values = render.arena().sequence(Kind::kTuple, arguments.positional.size());
    values.sequence->items.assign(arguments.positional.begin(), arguments.positional.end());
  }
  const Value text = like(render, soft.is_markup(), soft.view());
  return render.failed() ? Value() : printf_format(render, text, values);
}

Value wordcount(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const SoftText soft(render, self);
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < soft.view().size();) {
    const CodePoint c = next_code_point(soft.view(), at);
    const bool letter = c == '_' || is_alnum(c);
    words += letter && !inside ? 1 : 0;
    inside = letter;
  }
  return integer(words);
}

Value tojson(Render& render, const Value& self, const Arguments& arguments) {
  std::string out;
  append_json(render, out, self, arguments);
  return render.failed() ? Value() : render.text(out);
}

Value join(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"d", "attribute"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const AttributePath path(render, p.given(1) ? p[1] : none());
  const std::string separator = p.given(0) ? render.to_text(p[0]) : std::string();
  std::string out;
  Cursor cursor(render, self);
  Value item;
  for (bool first = true; !render.failed() && cursor.next(render, item); first = false) {
    if (!first) out += separator;
    render.append_text(out, path.get(render, item));
    if (!render.check_text(out.size())) return {};
  }
  render.work(out.size());
  return render.failed() ? Value() : render.text(out);
}

constexpr FilterEntry kFilters[] = {
    {"trim", trim},
    {"tojson", tojson},
    {"join", join},
    {"replace", replace},
    {"string", string},
    {"upper", converted<to_upper>},
    {"lower", converted<to_lower>},
    {"title", converted<title_words>},
    {"capitalize", converted<to_capitalized>},
    {"indent", indent},
    {"truncate", truncate},
    {"center", center},
    {"format", format},
    {"wordcount", wordcount},
};

}  // namespace

std::span<const FilterEntry> text_filters() { return kFilters; }

}  // namespace strata::jinja
