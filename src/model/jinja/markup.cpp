// Escaping, and the filters that deal with HTML and URLs.
#include "model/jinja/markup.h"

#include <array>

#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

Value escape(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  if (self.is_string() && self.text->markup) return self;
  const SoftText soft(render, self);
  return render.markup(escape_markup(soft.view()));
}

Value force_escape(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const SoftText soft(render, self);
  return render.markup(escape_markup(soft.view()));
}

Value safe(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const SoftText soft(render, self);
  return render.markup(soft.view());
}

// Comments and tags go, runs of white space become one blank, entities become characters.
Value strip_tags(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const SoftText soft(render, self);
  std::string text(soft.view());
  for (size_t begin = text.find("<!--"); begin != std::string::npos; begin = text.find("<!--", begin)) {
    const size_t end = text.find("-->", begin);
    if (end == std::string::npos) break;
    text.erase(begin, end + 3 - begin);
    if (!render.work(text.size())) return {};
  }
  for (size_t begin = text.find('<'); begin != std::string::npos; begin = text.find('<', begin)) {
    const size_t end = text.find('>', begin);
    if (end == std::string::npos) break;
    text.erase(begin, end + 1 - begin);
    if (!render.work(text.size())) return {};
  }
  std::string out;
  bool blank = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (is_space(c)) {
      blank = !out.empty();
      continue;
    }
    if (blank) out += ' ';
    blank = false;
    append_utf8(out, c);
  }
  return render.text(unescape_markup(out));
}

std::string url_quote(std::string_view text, bool for_query) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool letter =
        (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && static_cast<unsigned char>(c) < 0x80);
    if (letter || std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !for_query)) {
      out += c;
    } else if (c == ' ' && for_query) {
      out += '+';
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 0xF];
    }
  }
  return out;
}

Value url_encode(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  if (self.is_string() || !render.is_iterable(self)) {
    const SoftText soft(render, self);
    return render.text(url_quote(soft.view(), false));
  }
  std::string out;
  const auto append_pair = [&](const Value& key, const Value& value) {
    if (!out.empty()) out += '&';
    out += url_quote(render.to_text(key), true) + '=' + url_quote(render.to_text(value), true);
    render.work(out.size() / 16);
  };
  if (self.is(Kind::kDict)) {
    for (const auto& [key, value] : self.dict->entries()) append_pair(key, value);
    return render.text(out);
  }
  Cursor cursor(render, self);
  Value item;
  while (!render.failed() && cursor.next(render, item)) {
    if (!item.is_sequence() || item.sequence->items.size() != 2) return render.fail("urlencode needs pairs");
    append_pair(item.sequence->items[0], item.sequence->items[1]);
  }
  return render.failed() ? Value() : render.text(out);
}

Value xml_attributes(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"autospace"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  if (!self.is(Kind::kDict)) return render.fail("xmlattr needs a mapping");
  std::string out;
  for (const auto& [key, value] : self.dict->entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string() || key.string().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      return render.fail("invalid character in attribute name");
    }
    if (!out.empty()) out += ' ';
    out += escape_markup(key.string()) + "=\"";
    const bool marked = value.is_string() && value.text->markup;
    const std::string text = render.to_text(value);
    out += (marked ? text : escape_markup(text)) + '"';
    if (!render.work(text.size()) || !render.check_text(out.size())) return {};
  }
  const bool space = !p.given(0) || render.truth(p[0]);
  if (space && !out.empty()) out.insert(out.begin(), ' ');
  return render.text(out);
}

constexpr FilterEntry kFilters[] = {
    {"safe", safe},
    {"e", escape},
    {"escape", escape},
    {"forceescape", force_escape},
    {"striptags", strip_tags},
    {"urlencode", url_encode},
    {"xmlattr", xml_attributes},
};

struct Entity {
  std::string_view name;
  std::string_view text;
};
constexpr std::array kEntities = {Entity{"amp;", "&"},   Entity{"lt;", "<"},   Entity{"gt;", ">"},
                                  Entity{"quot;", "\""}, Entity{"apos;", "'"}, Entity{"nbsp;", "\u00a0"}};

}  // namespace

std::span<const FilterEntry> markup_filters() { return kFilters; }

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string unescape_markup(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '&') {
      out += text[at++];
      continue;
    }
    const std::string_view rest = text.substr(at + 1);
    bool known = false;
    for (const Entity& entity : kEntities) {
      if (!rest.starts_with(entity.name)) continue;
      out += entity.text;
      at += 1 + entity.name.size();
      known = true;
      break;
    }
    if (known) continue;
    const bool hex = rest.starts_with("#x") || rest.starts_with("#X");
    size_t end = hex ? 2 : 1;
    CodePoint value = 0;
    while (rest.starts_with('#') && end < rest.size() && value < 0x110000) {
      const char c = rest[end];
      const char lower = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9')
        value = value * (hex ? 16 : 10) + static_cast<CodePoint>(c - '0');
      else if (hex && lower >= 'a' && lower <= 'f')
        value = value * 16 + static_cast<CodePoint>(lower - 'a' + 10);
      else
        break;
      ++end;
    }
    if (end > (hex ? 2u : 1u) && end < rest.size() && rest[end] == ';' && value > 0 && value < 0x110000) {
      append_utf8(out, value);
      at += 2 + end;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace strata::jinja
