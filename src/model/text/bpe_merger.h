// Applies merges to one word: always the pair of lowest rank, the leftmost among equals, until none is left. Short
// words by looking through all pairs; long ones by a queue, so that a megabyte of one letter costs n log n. One object
// per encoding call: it keeps its memory between words. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <vector>

#include "model/text/merge_table.h"

namespace strata {

// Pairs waiting to be merged, lowest rank first, then lowest position. Equal ranks come in large numbers and mostly in
// rising position, so each rank has a first-in-first-out list and a heap only for what arrives out of order.
class MergeQueue {
 public:
  void push(uint32_t rank, uint32_t position);
  bool pop(uint32_t& rank, uint32_t& position);  // false when empty; the queue is then as new

 private:
  struct Bucket {
    uint32_t rank = 0;
    std::vector<uint32_t> rising;
    size_t next = 0;
    std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> others;
    bool empty() const { return next == rising.size() && others.empty(); }
  };
  uint32_t bucket_of(uint32_t rank);
  static uint32_t take_lowest(Bucket& bucket);

  std::vector<uint32_t> bucket_of_rank_;  // index into buckets_ + 1; 0: none
  std::vector<Bucket> buckets_;
  size_t used_buckets_ = 0;
  // (rank << 32 | bucket) of the buckets that hold something, lowest rank first.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> waiting_;
};

class BpeMerger {
 public:
  struct Part {
    Symbol symbol;
    uint32_t begin;  // byte offset in the word; it ends where the next begins
  };

  explicit BpeMerger(const MergeTable& merges) : merges_(&merges) {}

  // In and out: the parts of one word, in order.
  void merge(std::vector<Part>& parts);

 private:
  void merge_short(std::vector<Part>& parts);
  void merge_long(std::vector<Part>& parts);
  Merge find(Symbol left, Symbol right) const;

  const MergeTable* merges_;
  std::vector<Merge> pair_;     // pair_[i]: the merge of part i with its right neighbour
  std::vector<uint32_t> left_;  // neighbours of the parts that are alive, for long words
  std::vector<uint32_t> right_;
  MergeQueue queue_;
};

}  // namespace strata
