#include "model/jinja/value.h"

#include <cmath>
#include <cstring>
#include <functional>

#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

constexpr size_t kFewEntries = 8;   // up to here a scan beats a hash
constexpr int kMaxKeyParts = 1000;  // values inside one tuple used as a key; more is taken as unhashable

bool is_hashable_within(const Value& value, int& parts) {
  if (--parts < 0) return false;
  switch (value.kind) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kView:
      return false;
    case Kind::kTuple:
      for (const Value& item : value.sequence->items) {
        if (!is_hashable_within(item, parts)) return false;
      }
      return true;
    default:
      return true;
  }
}

uint64_t mix(uint64_t hash) {
  hash ^= hash >> 31;
  hash *= 0x9E3779B97F4A7C15ULL;
  return hash ^ hash >> 29;
}

}  // namespace

std::string_view Value::string() const { return text->view; }

Wide Value::as_wide() const {
  switch (kind) {
    case Kind::kBool:
      return boolean ? 1 : 0;
    case Kind::kInt:
      return integer;
    default:
      return *wide;
  }
}

double Value::as_double() const { return kind == Kind::kFloat ? number : static_cast<double>(as_wide()); }

size_t Text::length() const {
  if (points < 0) points = static_cast<int64_t>(count_code_points(view));
  return static_cast<size_t>(points);
}

const Value* Dict::find(std::string_view key) const {
  if (slots_.empty()) {
    for (const Entry& entry : entries_) {
      if (entry.first.is_string() && entry.first.string() == key) return &entry.second;
    }
    return nullptr;
  }
  const Text text{key};
  return find(Arena::from_text(&text));
}

const Value* Dict::find(const Value& key) const {
  const size_t at = find_index(key, slots_.empty() ? 0 : hash_value(key));
  return at < entries_.size() ? &entries_[at].second : nullptr;
}

size_t Dict::find_index(const Value& key, uint64_t hash) const {
  if (slots_.empty()) {
    size_t at = 0;
    while (at < entries_.size() && !equal_keys(entries_[at].first, key)) ++at;
    return at;
  }
  const size_t mask = slots_.size() - 1;
  for (size_t slot = hash & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    if (equal_keys(entries_[slots_[slot] - 1].first, key)) return slots_[slot] - 1;
  }
  return entries_.size();
}

void Dict::set(const Value& key, const Value& value) {
  const uint64_t hash = slots_.empty() ? 0 : hash_value(key);
  const size_t at = find_index(key, hash);
  if (at < entries_.size()) {
    entries_[at].second = value;
    return;
  }
  entries_.emplace_back(key, value);
  if (slots_.empty() ? entries_.size() > kFewEntries : entries_.size() * 2 > slots_.size()) {
    rebuild_slots();
  } else if (!slots_.empty()) {
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<uint32_t>(entries_.size());
  }
}

void Dict::rebuild_slots() {
  size_t size = 32;
  while (size < entries_.size() * 4) size *= 2;
  slots_.assign(size, 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = hash_value(entries_[i].first) & (size - 1);
    while (slots_[slot] != 0) slot = (slot + 1) & (size - 1);
    slots_[slot] = static_cast<uint32_t>(i + 1);
  }
}

const Text* Arena::text(std::string_view copied, bool markup) {
  used_ += copied.size() + sizeof(Text);
  if (copied.empty()) return make<Text>(Text{{}, markup});
  char* data = static_cast<char*>(pool_.allocate(copied.size(), 1));
  std::memcpy(data, copied.data(), copied.size());
  return make<Text>(Text{{data, copied.size()}, markup});
}

Value Arena::from_text(const Text* text) {
  Value v;
  v.kind = Kind::kString;
  v.text = text;
  return v;
}

Value Arena::sequence(Kind kind, size_t reserve) {
  Value v;
  v.kind = kind;
  v.sequence = make<Sequence>(Sequence{Values(memory())});
  v.sequence->items.reserve(reserve);
  used_ += reserve * sizeof(Value);
  return v;
}

Value Arena::tuple(std::initializer_list<Value> items) {
  Value v = sequence(Kind::kTuple, items.size());
  v.sequence->items.assign(items);
  return v;
}

Value Arena::dict(Kind kind) {
  Value v;
  v.kind = kind;
  v.dict = make<Dict>(memory());
  return v;
}

Value Arena::integer(Wide value) {
  if (value >= INT64_MIN && value <= INT64_MAX) return jinja::integer(static_cast<int64_t>(value));
  Value v;
  v.kind = Kind::kWide;
  v.wide = make<Wide>(value);
  return v;
}

Value undefined(Missing why, const Text* text, Kind origin) {
  Value v;
  v.missing = why;
  v.origin = origin;
  v.text = text;
  return v;
}

bool is_hashable(const Value& value) {
  int parts = kMaxKeyParts;
  return is_hashable_within(value, parts);
}

uint64_t hash_value(const Value& value) {
  switch (value.kind) {
    case Kind::kString:
      return mix(std::hash<std::string_view>{}(value.string()));
    case Kind::kUndefined:
      return 1;
    case Kind::kNone:
      return 2;
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kWide:
      return mix(static_cast<uint64_t>(value.as_wide()) ^ 3);
    case Kind::kFloat:
      if (std::abs(value.number) < 1e30 && value.number == std::floor(value.number)) {
        return mix(static_cast<uint64_t>(static_cast<Wide>(value.number)) ^ 3);
      }
      return mix(std::hash<double>{}(value.number));
    case Kind::kTuple: {
      uint64_t hash = 7;
      for (const Value& item : value.sequence->items) hash = mix(hash * 31 + hash_value(item));
      return hash;
    }
    default:
      return mix(reinterpret_cast<uintptr_t>(value.address));
  }
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.kind != Kind::kFloat && b.kind != Kind::kFloat) {
    const Wide x = a.as_wide(), y = b.as_wide();
    return x < y ? -1 : x > y ? 1 : 0;
  }
  // long double holds every 64-bit integer exactly, so an int and a float compare as exact numbers do.
  const auto exact = [](const Value& v) {
    return v.kind == Kind::kFloat ? static_cast<long double>(v.number) : static_cast<long double>(v.as_wide());
  };
  const long double x = exact(a), y = exact(b);
  if (std::isnan(x) || std::isnan(y)) return 2;
  return x < y ? -1 : x > y ? 1 : 0;
}

bool equal_numbers(const Value& a, const Value& b) { return compare_numbers(a, b) == 0; }

bool equal_keys(const Value& a, const Value& b) {
  if (a.is_string()) return b.is_string() && a.string() == b.string();
  if (a.is_number()) return b.is_number() && equal_numbers(a, b);
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kTuple: {
      const Values& x = a.sequence->items;
      const Values& y = b.sequence->items;
      if (x.size() != y.size()) return false;
      for (size_t i = 0; i < x.size(); ++i) {
        if (!equal_keys(x[i], y[i])) return false;
      }
      return true;
    }
    default:
      return a.address == b.address;
  }
}

std::string_view type_name(Kind kind) {
  switch (kind) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kWide:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kView:
      return "dict view";
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kFunction:
      return "function";
    case Kind::kMethod:
      return "method";
    case Kind::kMacro:
      return "Macro";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "object";
}

}  // namespace strata::jinja
