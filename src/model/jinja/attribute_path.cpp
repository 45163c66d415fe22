#include "model/jinja/attribute_path.h"

#include "model/jinja/string_literal.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {

AttributePath::AttributePath(Render& render, const Value& spec) : parts_(render.arena().memory()) {
  if (spec.is_none()) return;
  if (!spec.is_string()) {
    parts_.push_back(spec);
    return;
  }
  std::string_view rest = spec.string();
  while (render.step()) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    const std::optional<Wide> number = digits ? parse_python_int(part, 10) : std::nullopt;
    parts_.push_back(number ? render.integer(*number) : render.text(part));
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
}

Value AttributePath::get(Render& render, Value item, const Value* otherwise) const {
  for (const Value& part : parts_) {
    item = render.item(item, part);
    if (render.failed()) return {};
    if (otherwise != nullptr && item.is_undefined()) item = *otherwise;
  }
  return item;
}

Value ignoring_case(Render& render, const Value& value) {
  if (!value.is_string() || !render.work(value.string().size())) return value;
  return render.text(to_lower(value.string()));
}

}  // namespace strata::jinja
