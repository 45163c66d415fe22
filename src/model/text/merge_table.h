// The merges of a byte pair encoding: which two neighbouring symbols become which one, and how early. Immutable once
// filled; any thread may read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata {

using Symbol = uint32_t;                         // a token id, or beyond the ids a character that is no token
inline constexpr Symbol kNoSymbol = 0xFFFFFFFF;  // what the vocabulary does not know; merges with nothing
inline constexpr uint32_t kNoRank = 0xFFFFFFFF;

struct Merge {
  uint32_t rank = kNoRank;  // lower ranks merge first; kNoRank: no merge
  Symbol result = kNoSymbol;
};

class MergeTable {
 public:
  explicit MergeTable(size_t expected = 0) {
    size_t slots = 16;
    while (slots < expected * 2) slots *= 2;
    slots_.resize(slots);
  }

  // The last merge given for a pair counts. At most `expected` pairs; neither symbol may be kNoSymbol.
  void insert(Symbol left, Symbol right, Merge merge) { slots_[slot_of(left, right)] = {key(left, right), merge}; }

  Merge find(Symbol left, Symbol right) const { return slots_[slot_of(left, right)].merge; }

 private:
  struct Slot {
    uint64_t key = ~uint64_t{0};
    Merge merge;
  };

  static uint64_t key(Symbol left, Symbol right) { return (static_cast<uint64_t>(left) << 32) | right; }

  size_t slot_of(Symbol left, Symbol right) const {
    const uint64_t wanted = key(left, right);
    const size_t mask = slots_.size() - 1;
    size_t at = (wanted * 0x9E3779B97F4A7C15ull >> 29) & mask;
    while (slots_[at].key != wanted && slots_[at].key != ~uint64_t{0}) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

// Which pairs of neighbouring first symbols (bytes or characters) some merge can bridge. Where none can, a word falls
// apart into parts that are encoded on their own. May say yes too often, never no wrongly.
class JoinFilter {
 public:
  explicit JoinFilter(size_t expected_pairs = 0) {
    size_t bits = 1024;
    while (bits < expected_pairs * 16) bits *= 2;
    words_.resize(bits / 64);
  }
  void add(Symbol left, Symbol right) {
    const uint64_t bit = bit_of(left, right);
    words_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  bool may_join(Symbol left, Symbol right) const {
    const uint64_t bit = bit_of(left, right);
    return (words_[bit / 64] >> (bit % 64)) & 1;
  }

 private:
  uint64_t bit_of(Symbol left, Symbol right) const {
    const uint64_t mixed = (left * 0x9E3779B97F4A7C15ull) ^ (right * 0xC2B2AE3D27D4EB4Full);
    return (mixed >> 24) & (words_.size() * 64 - 1);
  }
  std::vector<uint64_t> words_;
};

}  // namespace strata
