// A set of byte strings with an id each, as a double array (Aoe 1989, https://doi.org/10.1109/32.31365): one look-up
// per byte whatever the number of strings. The models that look for the longest or for all tokens at a place walk
// through it. Immutable after it is made; any thread may walk.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace strata {

class ByteTrie {
 public:
  using Entry = std::pair<std::string_view, int32_t>;  // ids >= 0
  using Node = uint32_t;
  static constexpr Node kRoot = 0;

  ByteTrie() : ByteTrie(std::vector<Entry>()) {}
  // Of equal strings the last counts. Empty ones are left out. The strings are not kept.
  explicit ByteTrie(std::vector<Entry> entries);

  // Moves `node` along `byte`; false, and nothing changes, where no string goes on so.
  bool step(Node& node, uint8_t byte) const {
    const Node child = slots_[node].base ^ byte;
    if (slots_[child].parent != node) return false;
    node = child;
    return true;
  }
  int32_t id(Node node) const { return slots_[node].id; }  // of the string that ends here, or -1

  struct Match {
    int32_t id = -1;
    size_t length = 0;
  };
  // The longest string that text[at...] begins with; id -1 when there is none.
  Match longest(std::string_view text, size_t at) const;

 private:
  class Builder;
  static constexpr uint32_t kNobody = 0xFFFFFFFF;
  struct Slot {
    uint32_t base = 0;  // children lie at base ^ byte
    uint32_t parent = kNobody;
    int32_t id = -1;
  };
  std::vector<Slot> slots_;
};

}  // namespace strata
