// Methods of list, tuple and dict. Those that would change their object are known but forbidden.
#include "model/jinja/render.h"

namespace strata::jinja {
namespace {

Value count(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"value"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  int64_t found = 0;
  for (const Value& item : self.sequence->items) {
    if (!render.step()) return {};
    found += render.equal(item, p[0]) ? 1 : 0;
  }
  return integer(found);
}

Value index(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"value", "start", "stop"};
  const Parameters p(render, arguments, kNames, 1);
  const int64_t n = static_cast<int64_t>(p.ok ? self.sequence->items.size() : 0);
  int64_t start = 0, stop = n;
  if (!p.ok || (p.given(1) && !read_index(render, p[1], start)) || (p.given(2) && !read_index(render, p[2], stop))) {
    return {};
  }
  if (start < 0) start = std::max<int64_t>(0, start + n);
  if (stop < 0) stop += n;
  for (int64_t i = start; i < std::min(stop, n); ++i) {
    if (!render.step()) return {};
    if (render.equal(self.sequence->items[static_cast<size_t>(i)], p[0])) return integer(i);
  }
  return render.fail("the value is not in the list");
}

Value copy_list(Render& render, const Value& self, const Arguments& arguments) {
  const size_t size = self.sequence->items.size();
  if (!no_parameters(render, arguments) || !render.step(static_cast<int64_t>(size))) return {};
  Value out = render.list(size);
  out.sequence->items.assign(self.sequence->items.begin(), self.sequence->items.end());
  return out;
}

Value get(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"key", "default"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  if (!arguments.keywords.empty()) return render.fail("dict.get() takes no keyword arguments");
  if (!is_hashable(p[0])) return render.fail("unhashable type: '" + std::string(type_name(p[0].kind)) + "'");
  if (const Value* found = self.dict->find(p[0]); found != nullptr) return *found;
  return p.given(1) ? p[1] : none();
}

template <View::Part part>
Value view(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  Value out;
  out.kind = Kind::kView;
  out.view = render.arena().make<View>(View{self.dict, part});
  return out;
}

Value copy_dict(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  Value out = render.arena().dict();
  for (const auto& [key, value] : self.dict->entries()) {
    if (!render.step()) return {};
    out.dict->set(key, value);
    render.arena().charge(sizeof(Dict::Entry));
  }
  return out;
}

template <bool counting>
Value find_in_range(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"value"};
  const Parameters p(render, arguments, kNames, 1);
  if (!p.ok) return {};
  for (int64_t i = 0; i < self.range->length && render.step(); ++i) {
    if (render.equal(integer(self.range->start + i * self.range->step), p[0])) return integer(counting ? 1 : i);
  }
  return counting ? integer(0) : render.fail("the value is not in range");
}

constexpr MethodEntry kRangeMethods[] = {{"count", find_in_range<true>}, {"index", find_in_range<false>}};
constexpr MethodEntry kListMethods[] = {
    {"count", count},   {"index", index},    {"copy", copy_list},  {"append", nullptr},
    {"clear", nullptr}, {"pop", nullptr},    {"reverse", nullptr}, {"insert", nullptr},
    {"sort", nullptr},  {"extend", nullptr}, {"remove", nullptr},
};
constexpr MethodEntry kTupleMethods[] = {{"count", count}, {"index", index}};
constexpr MethodEntry kDictMethods[] = {
    {"get", get},
    {"items", view<View::Part::kItems>},
    {"keys", view<View::Part::kKeys>},
    {"values", view<View::Part::kValues>},
    {"copy", copy_dict},
    {"clear", nullptr},
    {"pop", nullptr},
    {"popitem", nullptr},
    {"setdefault", nullptr},
    {"update", nullptr},
};

}  // namespace

std::span<const MethodEntry> list_methods() { return kListMethods; }
std::span<const MethodEntry> tuple_methods() { return kTupleMethods; }
std::span<const MethodEntry> range_methods() { return kRangeMethods; }
std::span<const MethodEntry> dict_methods() { return kDictMethods; }

}  // namespace strata::jinja
