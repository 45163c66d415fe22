// Filters that make numbers, and default.
#include <algorithm>
#include <cmath>

#include "model/jinja/numbers.h"
#include "model/jinja/render.h"
#include "model/jinja/string_literal.h"

namespace strata::jinja {
namespace {

Value absolute(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  if (self.is(Kind::kFloat)) return number(std::fabs(self.number));
  if (!self.is_integral())
    return render.fail("bad operand type for abs(): '" + std::string(type_name(self.kind)) + "'");
  const Wide value = self.as_wide();
  return render.integer(value < 0 ? -value : value);
}

// int(float): towards zero; nothing for what is not finite.
std::optional<Wide> truncated(double value) {
  if (!std::isfinite(value) || std::fabs(value) > 1.7e38) return std::nullopt;
  return static_cast<Wide>(value);
}

Value to_int(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"default", "base"};
  const Parameters p(render, arguments, kNames);
  int64_t base = 10;
  if (!p.ok || (p.given(1) && !read_index(render, p[1], base))) return {};
  if (base < 0 || base == 1 || base > 36) base = 10;
  if (self.is_undefined()) return render.fail_undefined(self);
  std::optional<Wide> value;
  if (self.is_string()) {
    value = parse_python_int(self.string(), static_cast<int>(base));
    if (!value) {
      if (const std::optional<double> real = parse_python_float(self.string()); real) value = truncated(*real);
    }
  } else if (self.is(Kind::kFloat)) {
    value = truncated(self.number);
  } else if (self.is_integral()) {
    value = self.as_wide();
  }
  if (value) return render.integer(*value);
  return p.given(0) ? p[0] : integer(0);
}

Value to_float(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"default"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  if (self.is_undefined()) return render.fail_undefined(self);
  if (self.is_number()) return number(self.as_double());
  if (self.is_string()) {
    if (const std::optional<double> value = parse_python_float(self.string()); value) return number(*value);
  }
  return p.given(0) ? p[0] : number(0.0);
}

Value round_integer(Render& render, Wide value, int64_t digits) {
  if (digits >= 0) return render.integer(value);
  if (digits < -37) return integer(0);
  Wide unit = 1;
  for (int64_t i = digits; i < 0; ++i) unit *= 10;
  Wide rest = value % unit;
  if (rest < 0) rest += unit;
  Wide down = value - rest;
  if (rest * 2 > unit || (rest * 2 == unit && (down / unit) % 2 != 0)) down += unit;
  return render.integer(down);
}

Value round_number(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"precision", "method"};
  const Parameters p(render, arguments, kNames);
  int64_t digits = 0;
  if (!p.ok || (p.given(0) && !read_index(render, p[0], digits))) return {};
  const std::string_view method = p.given(1) ? (p[1].is_string() ? p[1].string() : std::string_view()) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    return render.fail("method must be common, ceil or floor");
  }
  if (self.is_undefined()) return render.fail_undefined(self);
  if (!self.is_number()) return render.fail("cannot round a " + std::string(type_name(self.kind)));
  digits = std::clamp<int64_t>(digits, -400, 400);
  if (method == "common") {
    if (self.is_integral()) return round_integer(render, self.as_wide(), digits);
    return number(round_decimal(self.number, static_cast<int>(digits)));
  }
  const double unit = std::pow(10.0, static_cast<double>(digits));
  const double scaled = self.as_double() * unit;
  if (!std::isfinite(scaled)) return render.fail("cannot convert this float to an integer");
  return number((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Value file_size(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"binary"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  std::optional<double> size;
  if (self.is_number()) size = self.as_double();
  if (self.is_string()) size = parse_python_float(self.string());
  if (!size || !std::isfinite(*size)) return render.fail("could not convert the value to a file size");
  const bool binary = p.given(0) && render.truth(p[0]);
  const double base = binary ? 1024 : 1000;
  if (*size == 1) return render.text("1 Byte");
  if (*size < base) return render.text(integer_text(static_cast<Wide>(*size)) + " Bytes");
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (size_t i = 0; i < kPrefixes.size(); ++i) {
    unit *= base;
    if (*size >= unit && i + 1 < kPrefixes.size()) continue;
    char shown[400];
    std::snprintf(shown, sizeof shown, "%.1f ", base * *size / unit);
    const char prefix = binary && i == 0 ? 'K' : kPrefixes[i];
    return render.text(std::string(shown) + prefix + (binary ? "iB" : "B"));
  }
  return {};
}

Value default_value(Render& render, const Value& self, const Arguments& arguments) {
  static constexpr std::string_view kNames[] = {"default_value", "boolean"};
  const Parameters p(render, arguments, kNames);
  if (!p.ok) return {};
  const bool falsy_too = p.given(1) && render.truth(p[1]);
  if (!self.is_undefined() && !(falsy_too && !render.truth(self))) return self;
  return p.given(0) ? p[0] : render.text("");
}

Value length(Render& render, const Value& self, const Arguments& arguments) {
  if (!no_parameters(render, arguments)) return {};
  const std::optional<int64_t> n = render.length(self);
  if (n) return integer(*n);
  return render.fail("object of type '" + std::string(type_name(self.kind)) + "' has no len()");
}

constexpr FilterEntry kFilters[] = {
    {"default", default_value}, {"d", default_value},    {"length", length},
    {"count", length},          {"int", to_int},         {"float", to_float},
    {"abs", absolute},          {"round", round_number}, {"filesizeformat", file_size},
};

}  // namespace

std::span<const FilterEntry> number_filters() { return kFilters; }

}  // namespace strata::jinja
