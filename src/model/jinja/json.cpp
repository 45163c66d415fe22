// tojson as transformers configures it: json.dumps(value, ensure_ascii=False, indent, separators, sort_keys), nothing
// escaped for HTML.
#include <algorithm>
#include <cmath>

#include "model/jinja/numbers.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

constexpr int kMaxJsonDepth = 200;

class JsonWriter {
 public:
  JsonWriter(Render& render, std::string& out) : render_(render), out_(out) {}

  bool configure(const Arguments& options) {
    static constexpr std::string_view kNames[] = {"ensure_ascii", "indent", "separators", "sort_keys"};
    const Parameters p(render_, options, kNames);
    if (!p.ok) return false;
    ascii_ = p.given(0) && render_.truth(p[0]);
    sort_ = p.given(3) && render_.truth(p[3]);
    if (p.given(1) && !p[1].is_none()) {
      pretty_ = true;
      item_separator_ = ",";
      int64_t width = 0;
      if (p[1].is_string())
        indent_ = p[1].string();
      else if (!read_index(render_, p[1], width))
        return false;
      else if (!render_.check_text(static_cast<size_t>(std::max<int64_t>(0, width))))
        return false;
      else
        indent_ = std::string(static_cast<size_t>(std::max<int64_t>(0, width)), ' ');
    }
    if (p.given(2) && !p[2].is_none()) {
      if (!p[2].is_sequence() || p[2].sequence->items.size() != 2 || !p[2].sequence->items[0].is_string() ||
          !p[2].sequence->items[1].is_string()) {
        render_.fail("separators must be a pair of strings");
        return false;
      }
      item_separator_ = p[2].sequence->items[0].string();
      key_separator_ = p[2].sequence->items[1].string();
    }
    return true;
  }

  void write(const Value& value, int depth = 0) {
    if (depth > kMaxJsonDepth) {
      render_.fail("values nest too deeply for JSON");
      return;
    }
    if (!render_.step() || !render_.check_text(out_.size())) return;
    switch (value.kind) {
      case Kind::kNone:
        out_ += "null";
        return;
      case Kind::kBool:
        out_ += value.boolean ? "true" : "false";
        return;
      case Kind::kInt:
      case Kind::kWide:
        append_integer(out_, value.as_wide());
        return;
      case Kind::kFloat:
        write_float(value.number);
        return;
      case Kind::kString:
        write_string(value.string());
        return;
      case Kind::kList:
      case Kind::kTuple:
        write_array(value.sequence->items, depth);
        return;
      case Kind::kDict:
        write_object(*value.dict, depth);
        return;
      default:
        render_.fail("object of type " + std::string(type_name(value.kind)) + " is not JSON serializable");
    }
  }

 private:
  void write_float(double value) {
    if (std::isnan(value))
      out_ += "NaN";
    else if (std::isinf(value))
      out_ += value < 0 ? "-Infinity" : "Infinity";
    else
      append_float(out_, value);
  }

  void write_unicode_escape(CodePoint c) {
    constexpr char kHex[] = "0123456789abcdef";
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out_ += kHex[c >> shift & 0xF];
  }

  void write_string(std::string_view text) {
    if (!render_.work(text.size()) || !render_.check_text(out_.size() + text.size())) return;
    out_ += '"';
    size_t plain = 0;  // what needs no escape is copied in one piece
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte >= 0x20 && byte != '"' && byte != '\\' && (!ascii_ || byte < 0x7F)) {
        ++at;
        continue;
      }
      out_ += text.substr(plain, begin - plain);
      write_escaped(next_code_point(text, at));
      plain = at;
    }
    out_ += text.substr(plain);
    out_ += '"';
  }

  void write_escaped(CodePoint c) {
    switch (c) {
      case '"':
        out_ += "\\\"";
        return;
      case '\\':
        out_ += "\\\\";
        return;
      case '\n':
        out_ += "\\n";
        return;
      case '\r':
        out_ += "\\r";
        return;
      case '\t':
        out_ += "\\t";
        return;
      case '\b':
        out_ += "\\b";
        return;
      case '\f':
        out_ += "\\f";
        return;
      default:
        break;
    }
    if (c >= 0x10000) {
      write_unicode_escape(0xD800 + ((c - 0x10000) >> 10));
      write_unicode_escape(0xDC00 + ((c - 0x10000) & 0x3FF));
    } else {
      write_unicode_escape(c);
    }
  }

  void new_line(int depth) {
    if (!pretty_) return;
    out_ += '\n';
    for (int i = 0; i < depth; ++i) {
      if (!render_.check_text(out_.size() + indent_.size())) return;
      out_ += indent_;
    }
  }

  void write_array(const Values& items, int depth) {
    out_ += '[';
    for (size_t i = 0; i < items.size() && !render_.failed(); ++i) {
      if (i > 0) out_ += item_separator_;
      new_line(depth + 1);
      write(items[i], depth + 1);
    }
    if (!items.empty()) new_line(depth);
    out_ += ']';
  }

  bool key_text(const Value& key, std::string& out) {
    switch (key.kind) {
      case Kind::kString:
        out = key.string();
        return true;
      case Kind::kNone:
        out = "null";
        return true;
      case Kind::kBool:
        out = key.boolean ? "true" : "false";
        return true;
      case Kind::kInt:
      case Kind::kWide:
        append_integer(out, key.as_wide());
        return true;
      case Kind::kFloat:
        append_float(out, key.number);
        return true;
      default:
        render_.fail("keys must be str, int, float, bool or None, not " + std::string(type_name(key.kind)));
        return false;
    }
  }

  void write_object(const Dict& dict, int depth) {
    Values order(render_.arena().memory());
    Values keys(render_.arena().memory());
    if (sort_) {
      for (const auto& [key, value] : dict.entries()) {
        keys.push_back(key);
        order.push_back(render_.arena().tuple({key, value}));
      }
      if (!sort_values(render_, order, keys, false)) return;
    }
    out_ += '{';
    for (size_t i = 0; i < dict.size() && !render_.failed(); ++i) {
      const Value& key = sort_ ? order[i].sequence->items[0] : dict.entries()[i].first;
      const Value& value = sort_ ? order[i].sequence->items[1] : dict.entries()[i].second;
      if (i > 0) out_ += item_separator_;
      new_line(depth + 1);
      if (key.is_string()) {
        write_string(key.string());
      } else {
        std::string name;
        if (!key_text(key, name)) return;
        write_string(name);
      }
      out_ += key_separator_;
      write(value, depth + 1);
    }
    if (dict.size() != 0) new_line(depth);
    out_ += '}';
  }

  Render& render_;
  std::string& out_;
  bool ascii_ = false, sort_ = false, pretty_ = false;
  std::string indent_;
  std::string item_separator_ = ", ", key_separator_ = ": ";
};

}  // namespace

void append_json(Render& render, std::string& out, const Value& value, const Arguments& options) {
  JsonWriter writer(render, out);
  if (writer.configure(options)) writer.write(value);
}

}  // namespace strata::jinja
