// str() and repr() of values.
#include "model/jinja/loop.h"
#include "model/jinja/numbers.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

constexpr int kMaxReprDepth = 200;

void append_escaped_string(std::string& out, std::string_view text) {
  const char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  constexpr char kHex[] = "0123456789abcdef";
  out += quote;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (c == static_cast<CodePoint>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      append_utf8(out, c);
    } else {
      const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
      out += '\\';
      out += digits == 2 ? 'x' : digits == 4 ? 'u' : 'U';
      for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) out += kHex[c >> shift & 0xF];
    }
  }
  out += quote;
}

}  // namespace

std::string Render::to_text(const Value& value) {
  std::string out;
  append_text(out, value);
  return out;
}

void Render::append_text(std::string& out, const Value& value) {
  if (value.is_string()) {
    if (check_text(out.size() + value.string().size())) out += value.string();
  } else if (!value.is_undefined()) {
    append_repr(out, value);
  }
}

void Render::append_sequence(std::string& out, const Value& value, int depth) {
  const Values& items = value.sequence->items;
  const bool is_list = value.is(Kind::kList);
  out += is_list ? '[' : '(';
  for (size_t i = 0; i < items.size() && !failed_; ++i) {
    if (i > 0) out += ", ";
    append_repr(out, items[i], depth + 1);
  }
  if (!is_list && items.size() == 1) out += ',';
  out += is_list ? ']' : ')';
}

void Render::append_entries(std::string& out, const Dict& dict, const EntryForm& form, int depth) {
  out += form.open;
  bool first = true;
  for (const auto& [key, entry] : dict.entries()) {
    if (failed_) return;
    if (!first) out += ", ";
    first = false;
    out += form.before;
    if (form.keys) append_repr(out, key, depth + 1);
    out += form.between;
    if (form.values) append_repr(out, entry, depth + 1);
    out += form.after;
  }
  out += form.close;
}

void Render::append_view(std::string& out, const View& view, int depth) {
  switch (view.part) {
    case View::Part::kKeys:
      return append_entries(out, *view.dict, {"dict_keys([", "])", true, false, "", "", ""}, depth);
    case View::Part::kValues:
      return append_entries(out, *view.dict, {"dict_values([", "])", false, true, "", "", ""}, depth);
    case View::Part::kItems:
      return append_entries(out, *view.dict, {"dict_items([", "])", true, true, "(", ", ", ")"}, depth);
  }
}

void Render::append_repr(std::string& out, const Value& value, int depth) {
  if (depth > kMaxReprDepth) {
    fail("values nest too deeply to be printed");
    return;
  }
  if (!step() || !check_text(out.size())) return;
  switch (value.kind) {
    case Kind::kUndefined:
      out += "Undefined";
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += value.boolean ? "True" : "False";
      return;
    case Kind::kInt:
    case Kind::kWide:
      append_integer(out, value.as_wide());
      return;
    case Kind::kFloat:
      append_float(out, value.number);
      return;
    case Kind::kString:
      work(value.string().size());
      if (!check_text(out.size() + value.string().size())) return;
      if (value.text->markup) out += "Markup(";
      append_escaped_string(out, value.string());
      if (value.text->markup) out += ')';
      return;
    case Kind::kList:
    case Kind::kTuple:
      return append_sequence(out, value, depth);
    case Kind::kDict:
      return append_entries(out, *value.dict, {"{", "}", true, true, "", ": ", ""}, depth);
    case Kind::kNamespace:
      return append_entries(out, *value.dict, {"<Namespace {", "}>", true, true, "", ": ", ""}, depth);
    case Kind::kView:
      return append_view(out, *value.view, depth);
    case Kind::kRange:
      out += "range(" + std::to_string(value.range->start) + ", " + std::to_string(value.range->stop);
      if (value.range->step != 1) out += ", " + std::to_string(value.range->step);
      out += ')';
      return;
    case Kind::kMacro:
      out += "<Macro ";
      if (value.macro->definition->label != nullptr) {
        append_escaped_string(out, value.macro->definition->label->view);
      } else {
        out += "anonymous";
      }
      out += '>';
      return;
    case Kind::kLoop:
      out += "<LoopContext " + std::to_string(value.loop->index0() + 1) + "/" +
             std::to_string(value.loop->length(*this)) + ">";
      return;
    default:  // Python shows an address here
      out += '<';
      out += type_name(value.kind);
      out += " object>";
  }
}

}  // namespace strata::jinja
