// Filters on whole sequences: order, grouping, ends, sums.
#include <algorithm>

#include "model/jinja/attribute_path.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

Value list(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  Value out = render.list();
  render.collect(self, out.sequence->items);
  return out;
}

Value first(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  Cursor cursor(render, self);
  Value item;
  if (render.failed()) return {};
  return cursor.next(render, item) ? item : render.hint("no first item, sequence was empty");
}

bool is_reversible(const Value& value) {
  return value.is_string() || value.is_sequence() || value.is(Kind::kDict) || value.is(Kind::kView) ||
         value.is(Kind::kRange) || value.is_undefined();
}

Value last(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  if (!is_reversible(self)) return render.fail("'" + std::string(type_name(self.kind)) + "' object is not reversible");
  if (self.is_sequence() && !self.sequence->items.empty()) return self.sequence->items.back();
  Values items(render.arena().memory());
  if (!render.collect(self, items)) return {};
  return items.empty() ? render.hint("no last item, sequence was empty") : items.back();
}

class ListItems final : public Iterator {
 public:
  explicit ListItems(Values items) : items_(std::move(items)) {}
  bool next(Render&, Value& out) override {
    if (at_ >= items_.size()) return false;
    out = items_[at_++];
    return true;
  }

 private:
  Values items_;
  size_t at_ = 0;
};

Value reverse(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  if (self.is_string()) return render.slice(self, none(), none(), integer(-1));
  Values items(render.arena().memory());
  if (!render.collect(self, items)) return {};
  std::reverse(items.begin(), items.end());
  if (is_reversible(self)) return render.iterator(render.arena().make<ListItems>(std::move(items)));
  Value out = render.list();
  out.sequence->items = std::move(items);
  return out;
}

Value sort(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"reverse", "case_sensitive", "attribute"};
  const Parameters p(render, arguments, kNames);
  Value out = render.list();
  if (!p.ok || !render.collect(self, out.sequence->items)) return {};
  const bool case_sensitive = p.given(1) && render.truth(p[1]);
  std::vector<AttributePath> paths;
  if (p.given(2) && p[2].is_string()) {
    std::string_view rest = p[2].string();
    while (true) {
      const size_t comma = rest.find(',');
      paths.emplace_back(render, render.text(rest.substr(0, comma)));
      if (comma == std::string_view::npos || !render.step()) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    paths.emplace_back(render, p.given(2) ? p[2] : none());
  }
  Values keys(render.arena().memory());
  for (const Value& item : out.sequence->items) {
    Value key = render.arena().sequence(Kind::kList, paths.size());
    for (const AttributePath& path : paths) {
      const Value part = path.get(render, item);
      key.sequence->items.push_back(case_sensitive ? part : ignoring_case(render, part));
    }
    if (!render.step()) return {};
    keys.push_back(key);
  }
  sort_values(render, out.sequence->items, keys, p.given(0) && render.truth(p[0]));
  return out;
}

Value dictsort(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"case_sensitive", "by", "reverse"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const std::string_view by = p.given(1) ? (p[1].is_string() ? p[1].string() : std::string_view()) : "key";
  if (by != "key" && by != "value") return render.fail("you can only sort by either \"key\" or \"value\"");
  if (!self.is(Kind::kDict)) {
    if (self.is_undefined()) return render.fail_undefined(self);
    return render.fail("'" + std::string(type_name(self.kind)) + "' object has no attribute 'items'");
  }
  const bool case_sensitive = p.given(0) && render.truth(p[0]);
  Value out = render.list(self.dict->size());
  Values keys(render.arena().memory());
  for (const auto& [key, value] : self.dict->entries()) {
    if (!render.step()) return {};
    const Value& part = by == "key" ? key : value;
    keys.push_back(case_sensitive ? part : ignoring_case(render, part));
    out.sequence->items.push_back(render.arena().tuple({key, value}));
  }
  sort_values(render, out.sequence->items, keys, p.given(2) && render.truth(p[2]));
  return out;
}

template <bool largest>
Value extreme(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"case_sensitive", "attribute"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const bool case_sensitive = p.given(0) && render.truth(p[0]);
  const AttributePath path(render, p.given(1) ? p[1] : none());
  Cursor cursor(render, self);
  Value item, best, best_key;
  bool any = false;
  while (!render.failed() && cursor.next(render, item)) {
    Value key = path.get(render, item);
    if (!case_sensitive) key = ignoring_case(render, key);
    if (!any || (largest ? render.less(best_key, key) : render.less(key, best_key))) {
      best = item;
      best_key = key;
    }
    any = true;
  }
  return any ? best : render.hint("no aggregated item, sequence was empty");
}

Value sum(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"attribute", "start"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const AttributePath path(render, p.given(0) ? p[0] : none());
  Value total = p.given(1) ? p[1] : integer(0);
  if (total.is_string()) return render.fail("sum() can't sum strings (use ''.join(seq) instead)");
  Cursor cursor(render, self);
  Value item;
  while (!render.failed() && cursor.next(render, item))
    total = render.binary(BinaryOp::kAdd, total, path.get(render, item));
  return total;
}

Value groupby(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"attribute", "default", "case_sensitive"};
  const Parameters p(render, arguments, kNames, 1);
  Values items(render.arena().memory());
  if (!p.ok || !render.collect(self, items)) return {};
  const bool case_sensitive = p.given(2) && render.truth(p[2]);
  const AttributePath path(render, p[0]);
  const Value* otherwise = p.given(1) && !p[1].is_none() ? p.find(1) : nullptr;
  const auto key_of = [&](const Value& item, bool folded) {
    const Value key = path.get(render, item, otherwise);
    return folded ? ignoring_case(render, key) : key;
  };
  Values keys(render.arena().memory());
  for (const Value& item : items) keys.push_back(key_of(item, !case_sensitive));
  if (render.failed() || !sort_values(render, items, keys, false)) return {};
  Value out = render.list();
  Value group, group_key;
  for (const Value& item : items) {
    const Value key = key_of(item, !case_sensitive);
    if (render.failed()) return {};
    if (group.is_undefined() || !render.equal(key, group_key)) {
      group = render.list();
      group_key = key;
      out.sequence->items.push_back(render.arena().tuple({key_of(item, false), group}));
    }
    group.sequence->items.push_back(item);
  }
  return out;
}

Value batch(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"linecount", "fill_with"};
  const Parameters p(render, arguments, kNames, 1);
  int64_t size = 0;
  Values items(render.arena().memory());
  if (!p.ok || !read_index(render, p[0], size) || !render.collect(self, items)) return {};
  Values rows(render.arena().memory());
  for (const Value& item : items) {
    if (rows.empty() || static_cast<int64_t>(rows.back().sequence->items.size()) == size) rows.push_back(render.list());
    rows.back().sequence->items.push_back(item);
    if (!render.step()) return {};
  }
  if (!rows.empty() && p.given(1) && !p[1].is_none()) {
    Values& row = rows.back().sequence->items;
    while (static_cast<int64_t>(row.size()) < size && render.step()) row.push_back(p[1]);
  }
  return render.iterator(render.arena().make<ListItems>(std::move(rows)));
}

Value slice_into(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"slices", "fill_with"};
  const Parameters p(render, arguments, kNames, 1);
  int64_t slices = 0;
  Values items(render.arena().memory());
  if (!p.ok || !read_index(render, p[0], slices) || !render.collect(self, items)) return {};
  if (slices == 0) return render.fail("integer division or modulo by zero");
  const int64_t n = static_cast<int64_t>(items.size());
  Values columns(render.arena().memory());
  int64_t begin = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const bool longer = i < n % slices;
    const int64_t end = begin + n / slices + (longer ? 1 : 0);
    Value column = render.list();
    column.sequence->items.assign(items.begin() + begin, items.begin() + end);
    if (p.given(1) && !p[1].is_none() && !longer) column.sequence->items.push_back(p[1]);
    columns.push_back(column);
    begin = end;
    if (!render.step()) return {};
  }
  return render.iterator(render.arena().make<ListItems>(std::move(columns)));
}

constexpr FilterEntry kFilters[] = {
    {"list", list},         {"first", first},       {"last", last},   {"reverse", reverse},
    {"sort", sort},         {"dictsort", dictsort}, {"sum", sum},     {"min", extreme<false>},
    {"max", extreme<true>}, {"groupby", groupby},   {"batch", batch}, {"slice", slice_into},
};

}  // namespace

std::span<const FilterEntry> sequence_filters() { return kFilters; }

// A merge sort of our own: the order of a template's values can fail half-way, which std::sort may not survive.
bool sort_values(Render& render, Values& items, const Values& keys, bool reverse) {
  const size_t n = items.size();
  std::vector<uint32_t> order(n), merged(n);
  for (size_t i = 0; i < n; ++i) order[i] = static_cast<uint32_t>(i);
  for (size_t width = 1; width < n; width *= 2) {
    for (size_t begin = 0; begin < n; begin += 2 * width) {
      const size_t middle = std::min(begin + width, n), end = std::min(begin + 2 * width, n);
      size_t left = begin, right = middle;
      for (size_t at = begin; at < end; ++at) {
        bool take_right = left == middle;
        if (left < middle && right < end) {
          const Value& a = keys[order[left]];
          const Value& b = keys[order[right]];
          take_right = reverse ? render.less(a, b) : render.less(b, a);
          if (render.failed()) return false;
        }
        merged[at] = take_right ? order[right++] : order[left++];
      }
    }
    std::swap(order, merged);
  }
  Values sorted(items.get_allocator());
  sorted.reserve(n);
  for (const uint32_t i : order) sorted.push_back(items[i]);
  items = std::move(sorted);
  return true;
}

}  // namespace strata::jinja
