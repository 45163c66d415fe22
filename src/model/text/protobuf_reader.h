// Walks over the fields of a protocol buffer (https://protobuf.dev/programming-guides/encoding). Borrows the bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace strata {

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view bytes) : rest_(bytes) {}

  // Steps to the next field; false at the end, or where the bytes are no fields (then ok() is false).
  bool next() {
    uint64_t key = 0;
    if (rest_.empty() || !ok_ || !read_varint(key)) return false;
    field_ = static_cast<uint32_t>(key >> 3);
    value_ = 0;
    bytes_ = {};
    switch (key & 7) {
      case 0:
        return read_varint(value_);
      case 1:
        return read_fixed(8);
      case 2:
        return read_varint(value_) && read_bytes(value_);
      case 5:
        return read_fixed(4);
      default:
        return ok_ = false;
    }
  }

  bool ok() const { return ok_; }
  uint32_t field() const { return field_; }
  uint64_t number() const { return value_; }
  bool boolean() const { return value_ != 0; }
  std::string_view bytes() const { return bytes_; }  // a string or a message
  float single() const { return std::bit_cast<float>(static_cast<uint32_t>(value_)); }

 private:
  bool read_varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return ok_ = false;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return ok_ = false;
  }
  bool read_fixed(size_t size) {
    if (rest_.size() < size) return ok_ = false;
    std::memcpy(&value_, rest_.data(), size);
    rest_.remove_prefix(size);
    return true;
  }
  bool read_bytes(uint64_t size) {
    if (size > rest_.size()) return ok_ = false;
    bytes_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
  bool ok_ = true;
  uint32_t field_ = 0;
  uint64_t value_ = 0;
  std::string_view bytes_;
};

}  // namespace strata
