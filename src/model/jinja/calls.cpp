// Calls: of macros, of recursive loops, of natives.
#include <utility>

#include "model/jinja/depth.h"
#include "model/jinja/loop.h"
#include "model/jinja/render.h"

namespace strata::jinja {

bool Render::evaluate_arguments(const CallArguments& in, Evaluated& out) {
  out.positional.reserve(in.positional.size());
  for (const ExprPtr& expr : in.positional) out.positional.push_back(evaluate(*expr));
  for (const auto& [name, expr] : in.keywords) out.keywords.push_back({name.string(), evaluate(*expr)});
  if (in.star != nullptr) {
    const Value star = evaluate(*in.star);
    if (failed_ || !collect(star, out.positional)) return false;
  }
  if (in.double_star != nullptr) {
    const Value more = evaluate(*in.double_star);
    if (failed_) return false;
    if (!more.is(Kind::kDict)) {
      fail("argument after ** must be a mapping, not " + std::string(type_name(more.kind)));
      return false;
    }
    for (const auto& [key, value] : more.dict->entries()) {
      if (!key.is_string()) {
        fail("keywords must be strings");
        return false;
      }
      for (const Keyword& other : out.keywords) {
        if (!step() || other.name == key.string()) {
          fail("got multiple values for keyword argument '" + std::string(key.string()) + "'");
          return false;
        }
      }
      out.keywords.push_back({key.string(), value});
    }
  }
  arena_.charge(out.positional.size() * sizeof(Value) + out.keywords.size() * sizeof(Keyword));
  return !failed_;
}

Value Render::evaluate_call(const CallExpr& expr, const Value* caller) {
  // A method called where it is looked up needs no object of its own.
  const MethodEntry* method = nullptr;
  Value callee;
  if (expr.callee->kind == ExprKind::kAttribute) {
    const auto& attribute_expr = static_cast<const AttributeExpr&>(*expr.callee);
    const Value object = evaluate(*attribute_expr.object);
    if (failed_) return {};
    method = find_method(object.kind, attribute_expr.name.string());
    if (method != nullptr && method->call == nullptr) method = nullptr;
    callee = method != nullptr ? object : attribute(object, attribute_expr.name);
  } else {
    callee = evaluate(*expr.callee);
  }
  if (failed_) return {};
  Evaluated arguments(arena_.memory());
  if (!evaluate_arguments(expr.arguments, arguments)) return {};
  if (caller != nullptr) arguments.keywords.push_back({"caller", *caller});
  line_ = expr.line;
  return method != nullptr ? method->call(*this, callee, arguments.arguments()) : call(callee, arguments.arguments());
}

Value Render::call(const Value& callee, const Arguments& arguments) {
  if (!step()) return {};
  switch (callee.kind) {
    case Kind::kFunction:
      return callee.function->call(*this, callee, arguments);
    case Kind::kMethod:
      return callee.method->entry->call(*this, callee.method->self, arguments);
    case Kind::kMacro:
      return call_macro(*callee.macro, arguments);
    case Kind::kLoop:
      return call_loop(*callee.loop, arguments);
    case Kind::kJoiner: {
      if (!no_parameters(*this, arguments)) return {};
      if (!std::exchange(callee.joiner->used, true)) return text("");
      return callee.joiner->separator;
    }
    case Kind::kUndefined:
      return fail_undefined(callee);
    default:
      return fail("'" + std::string(type_name(callee.kind)) + "' object is not callable");
  }
}

Value Render::call_loop(Loop& loop, const Arguments& arguments) {
  const Depth depth(*this);
  if (loop.statement() == nullptr) return fail("the loop must have the 'recursive' marker to be called recursively");
  static constexpr std::string_view kNames[] = {"iterable"};
  const Parameters parameters(*this, arguments, kNames, 1);
  if (!parameters.ok) return {};
  std::string buffer;
  std::string* const out = std::exchange(out_, &buffer);
  run_loop(*loop.statement(), parameters[0], loop.depth0() + 1, loop.frame());
  out_ = out;
  return failed_ ? Value() : text(buffer);
}

Value Render::call_macro(const Macro& macro, const Arguments& arguments) {
  const Depth depth(*this);
  if (failed_) return {};
  const MacroStatement& definition = *macro.definition;
  Frame* const frame = new_frame(macro.frame, definition.unset);
  Value result;
  if (bind_parameters(definition, arguments, frame)) {
    const std::string buffer = captured_output(definition.body, frame);
    if (!failed_) result = text(buffer);
  }
  release_frame(frame);
  return result;
}

bool Render::bind_parameters(const MacroStatement& definition, const Arguments& arguments, Frame* frame) {
  const std::string name = definition.label != nullptr ? std::string(definition.label->view) : "caller";
  const size_t count = definition.parameters.size();
  const size_t positional = std::min(count, arguments.positional.size());
  std::vector<bool> taken(arguments.keywords.size());
  const auto take = [&](std::string_view wanted) -> const Value* {
    for (size_t k = 0; k < arguments.keywords.size(); ++k) {
      if (taken[k] || arguments.keywords[k].name != wanted) continue;
      taken[k] = true;
      return &arguments.keywords[k].value;
    }
    return nullptr;
  };

  bool caller_bound = count == positional && definition.explicit_caller;
  std::vector<const Value*> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = i < positional ? &arguments.positional[i] : take(definition.parameter_names[i].string());
    if (i >= positional && definition.parameters[i] == kNameCaller) caller_bound = true;
  }
  Frame* const outer = std::exchange(frame_, frame);  // defaults see the parameters before them
  const size_t required = count - definition.defaults.size();
  for (size_t i = 0; i < count && !failed_; ++i) {
    Value value;
    if (values[i] != nullptr) {
      value = *values[i];
    } else if (i >= required) {
      value = evaluate(*definition.defaults[i - required]);
    } else {
      value = hint("parameter '" + std::string(definition.parameter_names[i].string()) + "' was not provided");
    }
    frame->variables.emplace_back(definition.parameters[i], value);
  }
  frame_ = outer;

  if (definition.uses_caller && !caller_bound) {
    const Value* caller = take("caller");
    frame->variables.emplace_back(kNameCaller, caller != nullptr ? *caller : hint("No caller defined"));
  }
  if (definition.uses_kwargs) {
    Value rest = arena_.dict();
    for (size_t k = 0; k < arguments.keywords.size(); ++k) {
      if (!taken[k]) rest.dict->set(arena_.string(arguments.keywords[k].name), arguments.keywords[k].value);
    }
    frame->variables.emplace_back(kNameKwargs, rest);
  } else {
    for (size_t k = 0; k < arguments.keywords.size(); ++k) {
      if (taken[k]) continue;
      fail("macro '" + name + "' takes no keyword argument '" + std::string(arguments.keywords[k].name) + "'");
      return false;
    }
  }
  if (definition.uses_varargs) {
    Value rest = arena_.sequence(Kind::kTuple, arguments.positional.size() - positional);
    for (size_t i = positional; i < arguments.positional.size(); ++i) {
      rest.sequence->items.push_back(arguments.positional[i]);
    }
    frame->variables.emplace_back(kNameVarargs, rest);
  } else if (arguments.positional.size() > count) {
    fail("macro '" + name + "' takes not more than " + std::to_string(count) + " argument(s)");
    return false;
  }
  return !failed_;
}

}  // namespace strata::jinja
