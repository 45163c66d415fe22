// Operators with Python's meaning: arithmetic, comparison, membership, truth, slices.
#include <algorithm>
#include <cmath>

#include "model/jinja/loop.h"
#include "model/jinja/markup.h"
#include "model/jinja/printf.h"
#include "model/jinja/render.h"
#include "model/jinja/unicode.h"

namespace strata::jinja {
namespace {

constexpr int kMaxCompareDepth = 200;
constexpr std::string_view kOperatorText[] = {"+", "-", "*", "/", "//", "%", "**"};
constexpr std::string_view kCompareText[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};

double floor_mod(double a, double b) {
  double r = std::fmod(a, b);
  if (r != 0 && (r < 0) != (b < 0)) r += b;
  return r == 0 ? std::copysign(0.0, b) : r;
}

double floor_div(double a, double b) {
  const double quotient = (a - floor_mod(a, b)) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

}  // namespace

bool Render::truth(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.boolean;
    case Kind::kInt:
      return value.integer != 0;
    case Kind::kFloat:
      return value.number != 0;
    case Kind::kIterator:
      return true;
    default: {
      const std::optional<int64_t> n = value.is_string() ? static_cast<int64_t>(value.string().size()) : length(value);
      return !n || *n != 0;
    }
  }
}

std::optional<int64_t> Render::length(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      if (value.missing == Missing::kUnsafe) return std::nullopt;
      return 0;
    case Kind::kString:
      work(value.text->points < 0 ? value.string().size() : 0);
      return static_cast<int64_t>(value.text->length());
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.sequence->items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict->size());
    case Kind::kView:
      return static_cast<int64_t>(value.view->dict->size());
    case Kind::kRange:
      return value.range->length;
    case Kind::kLoop:
      return value.loop->length(*this);
    default:
      return std::nullopt;
  }
}

bool Render::equal(const Value& a, const Value& b, int depth) {
  if (a.is_string() && b.is_string()) {
    if (a.string().size() != b.string().size()) return false;
    work(a.string().size());
    return a.string() == b.string();
  }
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind != b.kind) return false;
  if (depth > kMaxCompareDepth) {
    fail("values nest too deeply to be compared");
    return false;
  }
  switch (a.kind) {
    case Kind::kList:
    case Kind::kTuple: {
      const Values& x = a.sequence->items;
      const Values& y = b.sequence->items;
      if (x.size() != y.size()) return false;
      for (size_t i = 0; i < x.size(); ++i) {
        if (!step() || !equal(x[i], y[i], depth + 1)) return false;
      }
      return true;
    }
    case Kind::kDict:
      if (a.dict->size() != b.dict->size()) return false;
      for (const auto& [key, value] : a.dict->entries()) {
        const Value* other = b.dict->find(key);
        if (!step() || other == nullptr || !equal(value, *other, depth + 1)) return false;
      }
      return true;
    case Kind::kRange:
      return a.range->length == b.range->length &&
             (a.range->length == 0 ||
              (a.range->start == b.range->start && (a.range->length == 1 || a.range->step == b.range->step)));
    default:
      return equal_keys(a, b);
  }
}

bool Render::less(const Value& a, const Value& b, int depth) {
  if (!step()) return false;
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == -1;
  if (a.is_string() && b.is_string()) {
    work(std::min(a.string().size(), b.string().size()));
    return a.string() < b.string();  // the order of UTF-8 bytes is that of the characters
  }
  if (a.is_sequence() && a.kind == b.kind && depth <= kMaxCompareDepth) {
    const Values& x = a.sequence->items;
    const Values& y = b.sequence->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(x[i], y[i], depth + 1)) return !failed_ && less(x[i], y[i], depth + 1);
    }
    return x.size() < y.size();
  }
  if (a.is_undefined() || b.is_undefined()) {
    fail_undefined(a.is_undefined() ? a : b);
  } else {
    fail("'<' not supported between instances of '" + std::string(type_name(a.kind)) + "' and '" +
         std::string(type_name(b.kind)) + "'");
  }
  return false;
}

bool Render::compare(CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEq:
      return equal(a, b);
    case CompareOp::kNe:
      return !equal(a, b);
    case CompareOp::kIn:
      return contains(b, a);
    case CompareOp::kNotIn:
      return !contains(b, a);
    default:
      break;
  }
  if (a.is_undefined() || b.is_undefined()) {
    fail_undefined(a.is_undefined() ? a : b);
    return false;
  }
  if (a.is_number() && b.is_number()) {
    const int order = compare_numbers(a, b);
    if (order == 2) return false;
    return op == CompareOp::kLt   ? order < 0
           : op == CompareOp::kLe ? order <= 0
           : op == CompareOp::kGt ? order > 0
                                  : order >= 0;
  }
  if (!(a.is_string() && b.is_string()) && !(a.is_sequence() && a.kind == b.kind)) {
    fail("'" + std::string(kCompareText[static_cast<size_t>(op)]) + "' not supported between instances of '" +
         std::string(type_name(a.kind)) + "' and '" + std::string(type_name(b.kind)) + "'");
    return false;
  }
  switch (op) {
    case CompareOp::kLt:
      return less(a, b);
    case CompareOp::kGt:
      return less(b, a);
    case CompareOp::kLe:
      return equal(a, b) || less(a, b);
    default:
      return equal(a, b) || less(b, a);
  }
}

bool Render::contains(const Value& container, const Value& item_value) {
  if (container.is_string()) {
    if (!item_value.is_string()) {
      fail("'in <string>' requires string as left operand, not " + std::string(type_name(item_value.kind)));
      return false;
    }
    work(container.string().size());
    return container.string().find(item_value.string()) != std::string_view::npos;
  }
  if (container.is(Kind::kDict) || (container.is(Kind::kView) && container.view->part == View::Part::kKeys)) {
    if (!is_hashable(item_value)) {
      fail("unhashable type: '" + std::string(type_name(item_value.kind)) + "'");
      return false;
    }
    const Dict* dict = container.is(Kind::kDict) ? container.dict : container.view->dict;
    return dict->find(item_value) != nullptr;
  }
  if (container.is_sequence()) {
    for (const Value& other : container.sequence->items) {
      if (!step()) return false;
      if (equal(other, item_value)) return true;
    }
    return false;
  }
  if (!is_iterable(container)) {
    if (container.is_undefined()) {
      fail_undefined(container);
    } else {
      fail("argument of type '" + std::string(type_name(container.kind)) + "' is not iterable");
    }
    return false;
  }
  Cursor cursor(*this, container);
  Value other;
  while (!failed_ && cursor.next(*this, other)) {
    if (equal(other, item_value)) return true;
  }
  return false;
}

Value Render::negate(const Value& value) {
  if (value.is(Kind::kFloat)) return number(-value.number);
  if (value.is_integral()) return integer(-value.as_wide());
  if (value.is_undefined()) return fail_undefined(value);
  return fail("bad operand type for unary -: '" + std::string(type_name(value.kind)) + "'");
}

Value Render::binary(BinaryOp op, const Value& a, const Value& b) {
  if (a.is_undefined() && !(op == BinaryOp::kMod && b.is_string())) return fail_undefined(a);
  if (op == BinaryOp::kMod && a.is_string()) return printf_format(*this, a, b);
  if (b.is_undefined()) return fail_undefined(b);
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == BinaryOp::kAdd) return add(a, b);
  if (op == BinaryOp::kMul) return multiply(a, b);
  return fail("unsupported operand type(s) for " + std::string(kOperatorText[static_cast<size_t>(op)]) + ": '" +
              std::string(type_name(a.kind)) + "' and '" + std::string(type_name(b.kind)) + "'");
}

Value Render::add(const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    const size_t size = a.string().size() + b.string().size();
    if (!work(size) || !check_text(size)) return {};
    std::string joined;
    joined.reserve(size);
    const bool safe = a.text->markup || b.text->markup;
    joined += safe && !a.text->markup ? escape_markup(a.string()) : a.string();
    joined += safe && !b.text->markup ? escape_markup(b.string()) : b.string();
    return safe ? markup(joined) : text(joined);
  }
  if (a.is_sequence() && a.kind == b.kind) {
    const size_t size = a.sequence->items.size() + b.sequence->items.size();
    if (!step(static_cast<int64_t>(size))) return {};
    Value out = arena_.sequence(a.kind, size);
    Values& items = out.sequence->items;
    items.insert(items.end(), a.sequence->items.begin(), a.sequence->items.end());
    items.insert(items.end(), b.sequence->items.begin(), b.sequence->items.end());
    return out;
  }
  if (a.is_string()) return fail("can only concatenate str (not \"" + std::string(type_name(b.kind)) + "\") to str");
  return fail("unsupported operand type(s) for +: '" + std::string(type_name(a.kind)) + "' and '" +
              std::string(type_name(b.kind)) + "'");
}

Value Render::multiply(const Value& a, const Value& b) {
  if ((a.is_string() || a.is_sequence()) && b.is_integral()) return repeat(a, b);
  if ((b.is_string() || b.is_sequence()) && a.is_integral()) return repeat(b, a);
  return fail("unsupported operand type(s) for *: '" + std::string(type_name(a.kind)) + "' and '" +
              std::string(type_name(b.kind)) + "'");
}

Value Render::repeat(const Value& sequence, const Value& count) {
  int64_t times = 0;
  if (!read_index(*this, count, times)) return {};
  times = std::max<int64_t>(times, 0);
  const size_t size = sequence.is_string() ? sequence.string().size() : sequence.sequence->items.size() * sizeof(Value);
  if (size == 0) times = 0;
  if (times > 0 && static_cast<size_t>(times) > limits_.text / size) return fail_exhausted("a text gets too long");
  if (!work(size * static_cast<size_t>(times))) return {};
  if (sequence.is_string()) {
    std::string out;
    out.reserve(size * static_cast<size_t>(times));
    for (int64_t i = 0; i < times; ++i) out += sequence.string();
    return sequence.text->markup ? markup(out) : text(out);
  }
  Value out = arena_.sequence(sequence.kind, sequence.sequence->items.size() * static_cast<size_t>(times));
  Values& items = out.sequence->items;
  for (int64_t i = 0; i < times; ++i) {
    items.insert(items.end(), sequence.sequence->items.begin(), sequence.sequence->items.end());
  }
  return out;
}

Value Render::arithmetic(BinaryOp op, const Value& a, const Value& b) {
  const bool dividing = op == BinaryOp::kDiv || op == BinaryOp::kFloorDiv || op == BinaryOp::kMod;
  if (dividing && b.as_double() == 0) return fail(op == BinaryOp::kMod ? "modulo by zero" : "division by zero");
  const bool integers = a.is_integral() && b.is_integral();
  if (integers && op != BinaryOp::kDiv) {
    const Wide x = a.as_wide(), y = b.as_wide();
    Wide result = 0;
    bool overflow = false;
    switch (op) {
      case BinaryOp::kAdd:
        overflow = __builtin_add_overflow(x, y, &result);
        break;
      case BinaryOp::kSub:
        overflow = __builtin_sub_overflow(x, y, &result);
        break;
      case BinaryOp::kMul:
        overflow = __builtin_mul_overflow(x, y, &result);
        break;
      case BinaryOp::kFloorDiv: {
        if (y == -1) return negate(a);
        result = x / y;
        if (x % y != 0 && (x < 0) != (y < 0)) --result;
        break;
      }
      case BinaryOp::kMod:
        if (y == -1) return jinja::integer(0);
        result = x % y;
        if (result != 0 && (result < 0) != (y < 0)) result += y;
        break;
      default:
        if (y < 0) {
          if (x == 0) return fail("0.0 cannot be raised to a negative power");
          return number(std::pow(a.as_double(), b.as_double()));
        }
        result = 1;
        if (x == 0 || x == 1 || x == -1) {
          result = y == 0 || x == 1 ? 1 : x == 0 ? 0 : y % 2 == 0 ? 1 : -1;
        } else {
          for (Wide i = 0; i < y && !overflow; ++i) overflow = __builtin_mul_overflow(result, x, &result);
        }
    }
    if (overflow || result < -kMaxWide) return fail("the integer is too large");
    return integer(result);
  }
  const double x = a.as_double(), y = b.as_double();
  switch (op) {
    case BinaryOp::kAdd:
      return number(x + y);
    case BinaryOp::kSub:
      return number(x - y);
    case BinaryOp::kMul:
      return number(x * y);
    case BinaryOp::kDiv:
      if (integers) {
        return number(
            static_cast<double>(static_cast<long double>(a.as_wide()) / static_cast<long double>(b.as_wide())));
      }
      return number(x / y);
    case BinaryOp::kFloorDiv:
      return number(floor_div(x, y));
    case BinaryOp::kMod:
      return number(floor_mod(x, y));
    case BinaryOp::kPow:
      break;
  }
  if (x == 0 && y < 0) return fail("0.0 cannot be raised to a negative power");
  if (x < 0 && y != std::floor(y)) return fail("a negative number has no real power with a fraction");
  const double power = std::pow(x, y);
  if (std::isinf(power) && !std::isinf(x) && !std::isinf(y)) return fail("the number is too large");
  return number(power);
}

Value Render::slice(const Value& object, const Value& start, const Value& stop, const Value& stride) {
  const bool sliceable = object.is_string() || object.is_sequence() || object.is(Kind::kRange);
  if (!sliceable) {
    if (object.is_undefined()) return fail_undefined(object);
    return fail("'" + std::string(type_name(object.kind)) + "' object is not subscriptable");
  }
  const int64_t n = length(object).value_or(0);
  int64_t by = 1;
  if (!stride.is_none() && !read_index(*this, stride, by)) return {};
  if (by == 0) return fail("slice step cannot be zero");
  const auto bound = [&](const Value& value, int64_t otherwise) {
    int64_t at = otherwise;
    if (value.is_none()) return at;
    if (!read_index(*this, value, at)) return at;
    if (at < 0) at += n;
    return std::clamp<int64_t>(at, by > 0 ? 0 : -1, by > 0 ? n : n - 1);
  };
  const int64_t first = bound(start, by > 0 ? 0 : n - 1);
  const int64_t last = bound(stop, by > 0 ? n : -1);
  if (failed_) return {};
  const int64_t distance = by > 0 ? last - first : first - last;
  const int64_t size = std::abs(by);
  const int64_t count = distance <= 0 ? 0 : (distance - 1) / size + 1;
  if (!step(count / 16 + 1)) return {};
  if (object.is(Kind::kRange)) {
    Value out;
    out.kind = Kind::kRange;
    const Range& r = *object.range;
    out.range = arena_.make<Range>(Range{r.start + first * r.step, r.start + last * r.step, r.step * by, count});
    return out;
  }
  if (object.is_sequence()) {
    Value out = arena_.sequence(object.kind, static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      out.sequence->items.push_back(object.sequence->items[static_cast<size_t>(first + i * by)]);
    }
    return out;
  }
  const std::string_view all = object.string();
  if (by == 1) {  // a piece of the same text: nothing is copied
    const bool ascii = object.text->ascii();
    if (!ascii) work(all.size());
    const size_t begin = ascii ? static_cast<size_t>(first) : byte_offset(all, static_cast<size_t>(first));
    const size_t bytes =
        ascii ? static_cast<size_t>(count) : byte_offset(all.substr(begin), static_cast<size_t>(count));
    Text* piece = arena_.make<Text>(Text{all.substr(begin, bytes), object.text->markup});
    return Arena::from_text(piece);
  }
  if (!work(all.size())) return {};
  std::vector<size_t> offsets;  // of each character, and the end
  offsets.reserve(static_cast<size_t>(n) + 1);
  for (size_t at = 0; at < all.size();) {
    offsets.push_back(at);
    next_code_point(all, at);
  }
  offsets.push_back(all.size());
  std::string out;
  for (int64_t i = 0; i < count; ++i) {
    const size_t at = static_cast<size_t>(first + i * by);
    out += all.substr(offsets[at], offsets[at + 1] - offsets[at]);
  }
  return object.text->markup ? markup(out) : text(out);
}

}  // namespace strata::jinja
