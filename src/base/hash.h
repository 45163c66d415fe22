// 128-bit content hash (XXH3, https://github.com/Cyan4973/xxHash), stable across processes and machines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace strata {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
  std::string hex() const;
};

Hash128 hash_bytes(std::span<const std::byte> bytes, uint64_t seed = 0);

}  // namespace strata

template <>
struct std::hash<strata::Hash128> {
  size_t operator()(const strata::Hash128& value) const noexcept { return value.low; }
};
