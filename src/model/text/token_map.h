// From the spelling of a token to its id: an open-addressing table, since one look-up per word decides the speed of
// encoding. Borrows the spellings. Immutable once filled; any thread may read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace strata {

class TokenMap {
 public:
  explicit TokenMap(size_t expected = 0) {
    size_t slots = 16;
    while (slots < expected * 2) slots *= 2;
    slots_.resize(slots);
  }

  // False, and nothing changes, when the spelling is there already. At most `expected` spellings.
  bool insert(std::string_view text, int32_t id) {
    Slot& slot = slots_[slot_of(text)];
    if (slot.id >= 0) return false;
    slot = {text, id, tag_of(hash(text))};
    return true;
  }

  std::optional<int32_t> find(std::string_view text) const {
    const Slot& slot = slots_[slot_of(text)];
    if (slot.id < 0) return std::nullopt;
    return slot.id;
  }

 private:
  struct Slot {
    std::string_view text;
    int32_t id = -1;   // -1: empty
    uint32_t tag = 0;  // part of the hash, compared before the text
  };

  static size_t hash(std::string_view text) { return std::hash<std::string_view>{}(text); }
  static uint32_t tag_of(size_t hash) { return static_cast<uint32_t>(hash >> 32); }

  // Where `text` is or would be.
  size_t slot_of(std::string_view text) const {
    const size_t h = hash(text);
    const size_t mask = slots_.size() - 1;
    size_t at = h & mask;
    while (slots_[at].id >= 0 && (slots_[at].tag != tag_of(h) || slots_[at].text != text)) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace strata
