// The functions a template can name: filters, tests, globals, methods of values. Tables are built once and constant.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/jinja/value.h"

namespace strata::jinja {

class Render;

struct Keyword {
  std::string_view name;
  Value value;
};
struct Arguments {
  std::span<const Value> positional;
  std::span<const Keyword> keywords;
};

// The first argument is the value that a filter or test is applied to, or the object of a method. Failures are reported
// to the Render (render.fail), which makes the returned value meaningless.
using NativeFn = Value (*)(Render&, const Value& self, const Arguments&);
using TestFn = bool (*)(Render&, const Value& self, const Arguments&);

struct FilterEntry {
  std::string_view name;
  NativeFn apply;
};
struct TestEntry {
  std::string_view name;
  TestFn apply;
};
struct MethodEntry {
  std::string_view name;
  NativeFn call;  // null: changes its object, which the sandbox forbids
};

struct BoundMethod {
  Value self;
  const MethodEntry* entry;
};

const FilterEntry* find_filter(std::string_view name);
const TestEntry* find_test(std::string_view name);
const MethodEntry* find_method(Kind kind, std::string_view name);

// Each file of filters and methods contributes its table.
std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> markup_filters();
std::span<const FilterEntry> number_filters();
std::span<const FilterEntry> sequence_filters();
std::span<const FilterEntry> selection_filters();
std::span<const MethodEntry> string_methods();
std::span<const MethodEntry> string_predicates();
std::span<const MethodEntry> list_methods();
std::span<const MethodEntry> tuple_methods();
std::span<const MethodEntry> range_methods();
std::span<const MethodEntry> dict_methods();

// Work that methods and filters share.
std::vector<std::string_view> lines_of(std::string_view text, bool keep_ends = false);  // str.splitlines
// str.replace; a negative limit is none. False when the rendering failed.
bool replace_text(Render& render, std::string_view text, std::string_view old_text, std::string_view new_text,
                  int64_t limit, std::string& out);
// At least one `wanted` character, none `forbidden`, none of title case: str.isupper and str.islower.
bool has_case(std::string_view text, bool (*wanted)(uint32_t), bool (*forbidden)(uint32_t));
// Both fail the rendering where they cannot.
void append_json(Render& render, std::string& out, const Value& value, const Arguments& options);
bool sort_values(Render& render, Values& items, const Values& keys, bool reverse);

// A global function: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
struct Function {
  std::string_view name;
  NativeFn call;
};
std::span<const Function> global_functions();

}  // namespace strata::jinja
