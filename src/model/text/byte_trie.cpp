#include "model/text/byte_trie.h"

#include <algorithm>

namespace strata {

// Places node after node: for its bytes a base is looked for under which all slots are free. Free slots are a list in
// rising order; after a few that do not fit, a new block of 256 is opened, so that building stays linear.
class ByteTrie::Builder {
 public:
  Builder(const std::vector<Entry>& entries, std::vector<Slot>& slots) : entries_(entries), slots_(slots) {
    open_block();
    take(kRoot);
    slots_[kRoot].parent = kNobody;
    waiting_.push_back({0, entries.size(), 0, kRoot});
    while (!waiting_.empty()) {
      const Range range = waiting_.back();
      waiting_.pop_back();
      place_children(range);
    }
  }

 private:
  struct Range {  // the entries that share the path to `node`, which is `depth` bytes long
    size_t begin;
    size_t end;
    size_t depth;
    Node node;
  };
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  static constexpr int kMostAttempts = 32;

  void open_block() {
    const auto begin = static_cast<uint32_t>(slots_.size());
    slots_.resize(begin + 256);
    next_.resize(begin + 256);
    previous_.resize(begin + 256);
    for (uint32_t at = begin; at < begin + 256; ++at) {
      next_[at] = at + 1 < begin + 256 ? at + 1 : kNone;
      previous_[at] = at > begin ? at - 1 : last_free_;
    }
    (last_free_ == kNone ? first_free_ : next_[last_free_]) = begin;
    last_free_ = begin + 255;
    taken_.resize(slots_.size());
  }

  void take(uint32_t at) {
    taken_[at] = true;
    (previous_[at] == kNone ? first_free_ : next_[previous_[at]]) = next_[at];
    (next_[at] == kNone ? last_free_ : previous_[next_[at]]) = previous_[at];
  }

  uint8_t byte_of(size_t entry, size_t depth) const { return static_cast<uint8_t>(entries_[entry].first[depth]); }

  void place_children(Range range) {
    while (range.begin < range.end && entries_[range.begin].first.size() == range.depth) {
      slots_[range.node].id = entries_[range.begin].second;  // equal strings lie in the order given: the last counts
      ++range.begin;
    }
    if (range.begin == range.end) return;
    bytes_.clear();
    starts_.clear();
    for (size_t at = range.begin; at < range.end; ++at) {
      if (!bytes_.empty() && bytes_.back() == byte_of(at, range.depth)) continue;
      bytes_.push_back(byte_of(at, range.depth));
      starts_.push_back(at);
    }
    starts_.push_back(range.end);
    const uint32_t base = find_base();
    slots_[range.node].base = base;
    for (size_t i = bytes_.size(); i-- > 0;) {
      const Node child = base ^ bytes_[i];
      take(child);
      slots_[child].parent = range.node;
      waiting_.push_back({starts_[i], starts_[i + 1], range.depth + 1, child});
    }
  }

  uint32_t find_base() {
    int attempts = 0;
    for (uint32_t at = first_free_; at != kNone && attempts < kMostAttempts; at = next_[at], ++attempts) {
      const uint32_t base = at ^ bytes_[0];
      if (std::none_of(bytes_.begin(), bytes_.end(), [&](uint8_t byte) { return taken_[base ^ byte]; })) return base;
    }
    for (int i = 0; i < kMostAttempts / 8 && attempts == kMostAttempts; ++i) drop_first_free();
    const auto base = static_cast<uint32_t>(slots_.size());
    open_block();
    return base;
  }

  // Leaves the slot unused for good: it did not fit anybody for a while.
  void drop_first_free() {
    const uint32_t at = first_free_;
    first_free_ = next_[at];
    (first_free_ == kNone ? last_free_ : previous_[first_free_]) = kNone;
    taken_[at] = true;
  }

  const std::vector<Entry>& entries_;
  std::vector<Slot>& slots_;
  std::vector<uint32_t> next_;  // free slots, both ways
  std::vector<uint32_t> previous_;
  std::vector<bool> taken_;
  uint32_t first_free_ = kNone;
  uint32_t last_free_ = kNone;
  std::vector<Range> waiting_;
  std::vector<uint8_t> bytes_;  // of the node being placed
  std::vector<size_t> starts_;
};

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.first.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.first < b.first; });
  Builder builder(entries, slots_);
}

ByteTrie::Match ByteTrie::longest(std::string_view text, size_t at) const {
  Match match;
  Node node = kRoot;
  for (size_t end = at; end < text.size() && step(node, static_cast<uint8_t>(text[end])); ++end) {
    if (id(node) >= 0) match = {id(node), end + 1 - at};
  }
  return match;
}

}  // namespace strata
