// Values of a template while it is rendered: what Python's objects are to Jinja. A Value is two words and is copied
// freely; what it points to lives in the Arena of one rendering (or in the template, for constants) and is freed with
// it as a whole, so values may form cycles. One thread.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::jinja {

__extension__ typedef __int128 Wide;  // integers are exact to 127 bits, then an error
inline constexpr Wide kMaxWide = ((Wide{1} << 126) - 1) * 2 + 1;

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kWide,
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kView,  // dict.keys(), .values(), .items()
  kRange,
  kIterator,  // what map, select ... give: can be walked once
  kNamespace,
  kFunction,  // a global such as range
  kMethod,    // a method bound to its object
  kMacro,
  kLoop,
  kCycler,
  kJoiner,
};

// Why a value is undefined; decides what an error says and whether it is one of the sandbox.
enum class Missing : uint8_t { kName, kAttribute, kElement, kUnsafe, kHint };

struct Text;
struct Sequence;
class Dict;
struct View;
struct Range;
class Iterator;
struct Function;
struct BoundMethod;
struct Macro;
class Loop;
struct Cycler;
struct Joiner;

struct Value {
  Kind kind = Kind::kUndefined;
  Missing missing = Missing::kHint;  // kUndefined only
  Kind origin = Kind::kUndefined;    // kUndefined only: the object that lacked it
  union {
    bool boolean;
    int64_t integer;
    double number;
    const Wide* wide;
    const Text* text;  // for kUndefined: the name, or the hint; may be null
    Sequence* sequence;
    Dict* dict;
    View* view;
    Range* range;
    Iterator* iterator;
    const Function* function;
    BoundMethod* method;
    Macro* macro;
    Loop* loop;
    Cycler* cycler;
    Joiner* joiner;
    const void* address;
  };

  Value() : text(nullptr) {}
  bool is(Kind k) const { return kind == k; }
  bool is_undefined() const { return kind == Kind::kUndefined; }
  bool is_none() const { return kind == Kind::kNone; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_integral() const { return kind == Kind::kInt || kind == Kind::kBool || kind == Kind::kWide; }
  bool is_number() const { return is_integral() || kind == Kind::kFloat; }
  bool is_sequence() const { return kind == Kind::kList || kind == Kind::kTuple; }
  std::string_view string() const;  // kString only
  Wide as_wide() const;             // is_integral only
  double as_double() const;         // is_number only
};

struct Text {
  std::string_view view;
  bool markup = false;          // what |safe and |escape give
  mutable int64_t points = -1;  // characters, counted when first asked for

  size_t length() const;  // in characters
  bool ascii() const { return length() == view.size(); }
};

using Values = std::pmr::vector<Value>;
struct Sequence {
  Values items;
};

// Keys in the order of their insertion; equal keys as in Python (1 == 1.0 == True).
class Dict {
 public:
  explicit Dict(std::pmr::memory_resource* memory) : entries_(memory), slots_(memory) {}
  using Entry = std::pair<Value, Value>;
  const std::pmr::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  void reserve(size_t n) { entries_.reserve(n); }
  // Keys must be hashable (is_hashable).
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, const Value& value);

 private:
  size_t find_index(const Value& key, uint64_t hash) const;
  void rebuild_slots();

  std::pmr::vector<Entry> entries_;
  std::pmr::vector<uint32_t> slots_;  // open addressing, index + 1; empty while there are few entries
};

struct View {
  enum class Part : uint8_t { kKeys, kValues, kItems };
  const Dict* dict;
  Part part;
};

struct Range {
  int64_t start, stop, step, length;
};

struct Cycler {
  Values items;
  size_t position = 0;
};

struct Joiner {
  Value separator;
  bool used = false;
};

// Memory of one rendering. Everything is freed at once; `used` is what the limits look at.
class Arena {
 public:
  std::pmr::memory_resource* memory() { return &pool_; }
  size_t used() const { return used_; }
  void charge(size_t bytes) { used_ += bytes; }

  template <class T, class... Args>
  T* make(Args&&... args) {
    used_ += sizeof(T);
    return new (pool_.allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
  }
  const Text* text(std::string_view copied, bool markup = false);
  const Text* borrowed_text(std::string_view view) { return make<Text>(Text{view}); }

  Value string(std::string_view copied) { return from_text(text(copied)); }
  Value tuple(std::initializer_list<Value> items);
  Value sequence(Kind kind, size_t reserve = 0);  // kList or kTuple
  Value dict(Kind kind = Kind::kDict);            // or kNamespace
  Value integer(Wide value);
  static Value from_text(const Text* text);

 private:
  std::pmr::monotonic_buffer_resource pool_{16 * 1024};
  size_t used_ = 0;
};

inline Value none() {
  Value v;
  v.kind = Kind::kNone;
  return v;
}
inline Value boolean(bool b) {
  Value v;
  v.kind = Kind::kBool;
  v.integer = 0;
  v.boolean = b;
  return v;
}
inline Value integer(int64_t i) {
  Value v;
  v.kind = Kind::kInt;
  v.integer = i;
  return v;
}
inline Value number(double d) {
  Value v;
  v.kind = Kind::kFloat;
  v.number = d;
  return v;
}
// `static_text` must outlive every use.
Value undefined(Missing why, const Text* text, Kind origin = Kind::kUndefined);

// Python's == for scalars, strings and tuples of them; containers of any depth are render.h's `equal`.
bool is_hashable(const Value& value);
uint64_t hash_value(const Value& value);
bool equal_keys(const Value& a, const Value& b);
bool equal_numbers(const Value& a, const Value& b);
int compare_numbers(const Value& a, const Value& b);  // -1, 0, 1; 2 when one is not a number (NaN)

std::string_view type_name(Kind kind);  // as Python calls it: str, int, dict ...

}  // namespace strata::jinja
