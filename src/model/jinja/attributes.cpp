// object.name and object[key]: attributes first or items first, then the other, as Jinja looks them up, within what the
// sandbox allows (no names of Python's internals, no methods that change a list or dict).
#include "model/jinja/loop.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

bool is_internal(std::string_view name) { return name.size() > 4 && name.starts_with("__") && name.ends_with("__"); }

Value next_of_cycler(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  Cycler& cycler = *self.cycler;
  const Value current = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return current;
}

Value reset_cycler(Render& render, const Value& self, const Arguments& arguments) {
  if (no_parameters(render, arguments)) self.cycler->position = 0;
  return none();
}

Value cycle_loop(Render& render, const Value& self, const Arguments& arguments) {
  return self.loop->cycle(render, arguments);
}

Value changed_loop(Render& render, const Value& self, const Arguments& arguments) {
  return self.loop->changed(render, arguments);
}

constexpr MethodEntry kCyclerMethods[] = {{"next", next_of_cycler}, {"reset", reset_cycler}};
constexpr MethodEntry kLoopMethods[] = {{"cycle", cycle_loop}, {"changed", changed_loop}};

const MethodEntry* find_in(std::span<const MethodEntry> methods, std::string_view name) {
  for (const MethodEntry& method : methods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

bool number_field(Render& render, const Value& object, std::string_view name, Value& out) {
  const bool real = object.is(Kind::kFloat);
  if (name == "real" || (name == "numerator" && !real)) {
    out = object.is(Kind::kBool) ? render.integer(object.as_wide()) : object;
  } else if (name == "imag") {
    out = real ? number(0.0) : integer(0);
  } else if (name == "denominator" && !real) {
    out = integer(1);
  } else {
    return false;
  }
  return true;
}

bool macro_field(Render& render, const Value& object, std::string_view name, Value& out) {
  const MacroStatement& definition = *object.macro->definition;
  if (name == "name") {
    out = definition.label != nullptr ? Arena::from_text(definition.label) : none();
  } else if (name == "arguments") {
    out = render.arena().sequence(Kind::kTuple, definition.parameter_names.size());
    out.sequence->items.assign(definition.parameter_names.begin(), definition.parameter_names.end());
  } else if (name == "catch_kwargs") {
    out = boolean(definition.uses_kwargs);
  } else if (name == "catch_varargs") {
    out = boolean(definition.uses_varargs);
  } else if (name == "caller") {
    out = boolean(definition.uses_caller);
  } else {
    return false;
  }
  return true;
}

}  // namespace

const MethodEntry* find_method(Kind kind, std::string_view name) {
  switch (kind) {
    case Kind::kString: {
      const MethodEntry* method = find_in(string_methods(), name);
      return method != nullptr ? method : find_in(string_predicates(), name);
    }
    case Kind::kList:
      return find_in(list_methods(), name);
    case Kind::kTuple:
      return find_in(tuple_methods(), name);
    case Kind::kRange:
      return find_in(range_methods(), name);
    case Kind::kDict:
      return find_in(dict_methods(), name);
    case Kind::kCycler:
      return find_in(kCyclerMethods, name);
    case Kind::kLoop:
      return find_in(kLoopMethods, name);
    default:
      return nullptr;
  }
}

bool Render::find_attribute(const Value& object, const Value& name, Value& out) {
  const std::string_view key = name.string();
  if (object.is(Kind::kNamespace)) {
    const Value* found = object.dict->find(key);
    if (found != nullptr) out = *found;
    return found != nullptr;
  }
  if (is_internal(key)) {
    out = missing_attribute(object, name.text, Missing::kUnsafe);
    return true;
  }
  if (object.is_number()) return number_field(*this, object, key, out);
  if (object.is(Kind::kLoop) && object.loop->field(*this, key, out)) return true;
  if (object.is(Kind::kMacro)) return macro_field(*this, object, key, out);
  if (object.is(Kind::kCycler) && key == "current") {
    out = object.cycler->items[object.cycler->position];
    return true;
  }
  if (object.is(Kind::kFunction) && object.function->name == "dict" && key == "fromkeys") {
    static constexpr std::string_view kFromKeys = "dict.fromkeys";
    for (const Function& function : global_functions()) {
      if (function.name != kFromKeys) continue;
      out = {};
      out.kind = Kind::kFunction;
      out.function = &function;
      return true;
    }
  }
  const MethodEntry* method = find_method(object.kind, key);
  if (method == nullptr) return false;
  if (method->call == nullptr) {
    out = missing_attribute(object, name.text, Missing::kUnsafe);
    return true;
  }
  out = {};
  out.kind = Kind::kMethod;
  out.method = arena_.make<BoundMethod>(BoundMethod{object, method});
  return true;
}

Value Render::attribute(const Value& object, const Value& name) {
  if (object.is_undefined()) return fail_undefined(object);
  Value found;
  if (find_attribute(object, name, found)) return found;
  if (object.is(Kind::kDict)) {
    if (const Value* entry = object.dict->find(name.string()); entry != nullptr) return *entry;
  }
  return missing_attribute(object, name.text);
}

Value Render::item(const Value& object, const Value& key) {
  if (object.is_undefined()) return fail_undefined(object);
  if (object.is(Kind::kDict) && is_hashable(key)) {
    if (const Value* entry = object.dict->find(key); entry != nullptr) return *entry;
  } else if (key.is_integral() && (object.is_sequence() || object.is_string() || object.is(Kind::kRange))) {
    int64_t at = 0;
    if (!read_index(*this, key, at)) return {};
    const int64_t n = length(object).value_or(0);
    if (at < 0) at += n;
    if (at >= 0 && at < n) {
      if (object.is_sequence()) return object.sequence->items[static_cast<size_t>(at)];
      if (object.is(Kind::kRange)) return jinja::integer(object.range->start + at * object.range->step);
      return slice(object, jinja::integer(at), jinja::integer(at + 1), none());
    }
  }
  if (key.is_string()) {
    Value found;
    if (find_attribute(object, key, found)) return found;
    return missing_attribute(object, key.text);
  }
  std::string shown;
  append_repr(shown, key);
  return missing_attribute(object, arena_.text(shown), Missing::kElement);
}

}  // namespace strata::jinja
