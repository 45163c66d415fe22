// The is... methods of str: isdigit, isupper, istitle ...
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

// True when there is a character and all of them pass.
using Class = bool (*)(CodePoint);
template <Class passes>
Value all_of(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments) || !render.work(self.string().size())) return {};
  const std::string_view text = self.string();
  for (size_t at = 0; at < text.size();) {
    if (!passes(next_code_point(text, at))) return boolean(false);
  }
  return boolean(!text.empty());
}

Value all_ascii(Render& render, const Value& self, const Arguments& arguments) {
  return boolean(no_parameters(render, arguments) && is_ascii(self.string()));
}

Value all_printable(Render& render, const Value& self, const Arguments& arguments) {
  if (self.string().empty()) return boolean(no_parameters(render, arguments));
  return all_of<is_printable>(render, self, arguments);
}

Value identifier(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const std::string_view text = self.string();
  for (size_t at = 0; at < text.size();) {
    const bool first = at == 0;
    const CodePoint c = next_code_point(text, at);
    if (c != '_' && !is_alpha(c) && (first || !is_alnum(c))) return boolean(false);
  }
  return boolean(!text.empty());
}

template <Class wanted, Class forbidden>
Value cased(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments) || !render.work(self.string().size())) return {};
  return boolean(has_case(self.string(), wanted, forbidden));
}

Value titled(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments) || !render.work(self.string().size())) return {};
  const std::string_view text = self.string();
  bool inside_word = false, found = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    const bool starts_word = is_upper(c) || is_title(c);
    if (starts_word && inside_word) return boolean(false);
    if (is_lower(c) && !inside_word) return boolean(false);
    inside_word = starts_word || is_lower(c);
    found |= inside_word;
  }
  return boolean(found);
}

constexpr MethodEntry kPredicates[] = {
    {"isdigit", all_of<is_digit>},
    {"isalpha", all_of<is_alpha>},
    {"isalnum", all_of<is_alnum>},
    {"isdecimal", all_of<is_decimal>},
    {"isnumeric", all_of<is_numeric>},
    {"isspace", all_of<is_space>},
    {"isascii", all_ascii},
    {"isprintable", all_printable},
    {"isidentifier", identifier},
    {"isupper", cased<is_upper, is_lower>},
    {"islower", cased<is_lower, is_upper>},
    {"istitle", titled},
};

}  // namespace

std::span<const MethodEntry> string_predicates() { return kPredicates; }

bool has_case(std::string_view text, bool (*wanted)(CodePoint), bool (*forbidden)(CodePoint)) {
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (forbidden(c) || is_title(c)) return false;
    found |= wanted(c);
  }
  return found;
}

}  // namespace strata::jinja
