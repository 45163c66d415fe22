// Orders that are functions of a seed.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/philox.h"

namespace strata {

// 64 random bits for draw `index` of stream (seed, stream).
inline uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t index) {
  const auto bits = philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                                static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                               {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return (uint64_t{bits[0]} << 32) | bits[1];
}

// 0 ... n - 1 in the order of (seed, stream): Fisher and Yates' shuffle.
inline std::vector<size_t> shuffled_order(size_t n, uint64_t seed, uint64_t stream) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random_bits(seed, stream, i) % i]);
  return order;
}

}  // namespace strata
