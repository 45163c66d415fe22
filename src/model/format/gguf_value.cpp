#include <cstring>
#include <limits>

#include "model/format/gguf.h"

namespace strata {
namespace {

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

constexpr size_t kArrayHeader = sizeof(uint32_t) + sizeof(uint64_t);

size_t scalar_bytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    default:
      return 8;
  }
}

std::optional<int64_t> scalar_int(GgufType type, const std::byte* from) {
  switch (type) {
    case GgufType::kUint8:
      return load<uint8_t>(from);
    case GgufType::kInt8:
      return load<int8_t>(from);
    case GgufType::kUint16:
      return load<uint16_t>(from);
    case GgufType::kInt16:
      return load<int16_t>(from);
    case GgufType::kUint32:
      return load<uint32_t>(from);
    case GgufType::kInt32:
      return load<int32_t>(from);
    case GgufType::kInt64:
      return load<int64_t>(from);
    case GgufType::kUint64: {
      const auto value = load<uint64_t>(from);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> scalar_double(GgufType type, const std::byte* from) {
  if (type == GgufType::kFloat32) return load<float>(from);
  if (type == GgufType::kFloat64) return load<double>(from);
  if (type == GgufType::kUint64) return static_cast<double>(load<uint64_t>(from));
  if (const auto integer = scalar_int(type, from)) return static_cast<double>(*integer);
  return std::nullopt;
}

// The elements of an array of numbers, through `convert`; nullopt when one does not convert.
template <class T, class Convert>
std::optional<std::vector<T>> number_array(const GgufValue& array, Convert convert) {
  if (!array.is_array() || array.element_type() == GgufType::kString) return std::nullopt;
  const GgufType type = array.element_type();
  const size_t stride = scalar_bytes(type);
  const std::byte* from = array.encoded.data() + kArrayHeader;
  std::vector<T> out;
  out.reserve(array.size());
  for (uint64_t i = 0; i < array.size(); ++i) {
    const auto value = convert(type, from + i * stride);
    if (!value) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

std::string_view string_at(const std::byte* from) {
  return {reinterpret_cast<const char*>(from) + sizeof(uint64_t), load<uint64_t>(from)};
}

}  // namespace

std::optional<int64_t> GgufValue::as_int() const { return scalar_int(type, encoded.data()); }

std::optional<double> GgufValue::as_double() const { return scalar_double(type, encoded.data()); }

std::optional<bool> GgufValue::as_bool() const {
  if (type != GgufType::kBool) return std::nullopt;
  return load<uint8_t>(encoded.data()) != 0;
}

std::optional<std::string_view> GgufValue::as_string() const {
  if (type != GgufType::kString) return std::nullopt;
  return string_at(encoded.data());
}

GgufType GgufValue::element_type() const {
  return is_array() ? static_cast<GgufType>(load<uint32_t>(encoded.data())) : type;
}

uint64_t GgufValue::size() const { return is_array() ? load<uint64_t>(encoded.data() + sizeof(uint32_t)) : 1; }

std::optional<std::vector<int64_t>> GgufValue::as_ints() const { return number_array<int64_t>(*this, scalar_int); }

std::optional<std::vector<double>> GgufValue::as_doubles() const { return number_array<double>(*this, scalar_double); }

std::optional<std::vector<bool>> GgufValue::as_bools() const {
  return number_array<bool>(*this, [](GgufType of, const std::byte* from) -> std::optional<bool> {
    const auto number = scalar_int(of == GgufType::kBool ? GgufType::kUint8 : of, from);
    return number ? std::optional(*number != 0) : std::nullopt;
  });
}

std::optional<std::vector<std::string_view>> GgufValue::as_strings() const {
  if (!is_array() || element_type() != GgufType::kString) return std::nullopt;
  std::vector<std::string_view> out;
  out.reserve(size());
  const std::byte* from = encoded.data() + kArrayHeader;
  for (uint64_t i = 0; i < size(); ++i) {
    out.push_back(string_at(from));
    from += sizeof(uint64_t) + out.back().size();
  }
  return out;
}

}  // namespace strata
