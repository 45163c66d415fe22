// Tests: `value is NAME(arguments)`; and the lookup of filters and tests by name.
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

template <Kind... kinds>
bool is_kind(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && ((self.kind == kinds) || ...);
}

bool is_defined(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && !self.is_undefined();
}
bool is_undefined(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && self.is_undefined();
}
bool is_true(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && self.is(Kind::kBool) && self.boolean;
}
bool is_false(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && self.is(Kind::kBool) && !self.boolean;
}
bool is_sequence(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) &&
         (self.is_string() || self.is_sequence() || self.is(Kind::kDict) || self.is(Kind::kRange) ||
          (self.is_undefined() && self.missing != Missing::kUnsafe));
}
bool is_iterable(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && render.is_iterable(self);
}
bool is_callable(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) &&
         (self.is(Kind::kFunction) || self.is(Kind::kMethod) || self.is(Kind::kMacro) || self.is(Kind::kLoop) ||
          self.is(Kind::kJoiner) || self.is_undefined());
}
bool is_escaped(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && self.is_string() && self.text->markup;
}

template <bool upper>
bool is_case(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return false;
  const SoftText soft(render, self);
  return upper ? has_case(soft.view(), jinja::is_upper, jinja::is_lower)
               : has_case(soft.view(), jinja::is_lower, jinja::is_upper);
}

Value remainder(Render& render, const Value& self, const Value& divisor) {
  return render.binary(BinaryOp::kMod, self, divisor);
}
bool is_odd(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && render.equal(remainder(render, self, integer(2)), integer(1));
}
bool is_even(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && render.equal(remainder(render, self, integer(2)), integer(0));
}
bool is_divisible(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"num"};
  const Parameters p(render, arguments, kNames, 1);
  return p.ok && render.equal(remainder(render, self, p[0]), integer(0));
}

template <CompareOp op>
bool compares(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"other"};
  const Parameters p(render, arguments, kNames, 1);
  return p.ok && render.compare(op, self, p[0]);
}

bool is_same(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"other"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok || self.kind != p[0].kind) return false;
  switch (self.kind) {
    case Kind::kNone:
      return true;
    case Kind::kBool:
      return self.boolean == p[0].boolean;
    case Kind::kInt:
      return self.integer == p[0].integer;
    case Kind::kString:
      return render.equal(self, p[0]);  // Python shares equal constants
    case Kind::kFloat:
      return self.number == p[0].number;
    default:
      return self.address == p[0].address;
  }
}

bool names_filter(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && self.is_string() && find_filter(self.string()) != nullptr;
}
bool names_test(Render& render, const Value& self, const Arguments& arguments) {
  return no_parameters(render, arguments) && self.is_string() && find_test(self.string()) != nullptr;
}

constexpr TestEntry kTests[] = {
    {"defined", is_defined},
    {"undefined", is_undefined},
    {"none", is_kind<Kind::kNone>},
    {"string", is_kind<Kind::kString>},
    {"mapping", is_kind<Kind::kDict>},
    {"iterable", is_iterable},
    {"sequence", is_sequence},
    {"boolean", is_kind<Kind::kBool>},
    {"true", is_true},
    {"false", is_false},
    {"integer", is_kind<Kind::kInt, Kind::kWide>},
    {"float", is_kind<Kind::kFloat>},
    {"number", is_kind<Kind::kInt, Kind::kWide, Kind::kFloat, Kind::kBool>},
    {"callable", is_callable},
    {"sameas", is_same},
    {"escaped", is_escaped},
    {"lower", is_case<false>},
    {"upper", is_case<true>},
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisible},
    {"in", compares<CompareOp::kIn>},
    {"==", compares<CompareOp::kEq>},
    {"eq", compares<CompareOp::kEq>},
    {"equalto", compares<CompareOp::kEq>},
    {"!=", compares<CompareOp::kNe>},
    {"ne", compares<CompareOp::kNe>},
    {">", compares<CompareOp::kGt>},
    {"gt", compares<CompareOp::kGt>},
    {"greaterthan", compares<CompareOp::kGt>},
    {">=", compares<CompareOp::kGe>},
    {"ge", compares<CompareOp::kGe>},
    {"<", compares<CompareOp::kLt>},
    {"lt", compares<CompareOp::kLt>},
    {"lessthan", compares<CompareOp::kLt>},
    {"<=", compares<CompareOp::kLe>},
    {"le", compares<CompareOp::kLe>},
    {"filter", names_filter},
    {"test", names_test},
};

}  // namespace

const TestEntry* find_test(std::string_view name) {
  for (const TestEntry& entry : kTests) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

const FilterEntry* find_filter(std::string_view name) {
  for (const auto table :
       {text_filters(), number_filters(), sequence_filters(), selection_filters(), markup_filters()}) {
    for (const FilterEntry& entry : table) {
      if (entry.name == name) return &entry;
    }
  }
  return nullptr;
}

}  // namespace strata::jinja
