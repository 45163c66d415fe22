#include "model/text/bpe_merger.h"

#include <algorithm>

namespace strata {
namespace {

constexpr size_t kShortWord = 48;  // parts; below, looking through all pairs is faster than keeping a queue

}  // namespace

uint32_t MergeQueue::bucket_of(uint32_t rank) {
  if (rank >= bucket_of_rank_.size()) {
    bucket_of_rank_.resize(std::max<size_t>(rank + size_t{1}, 2 * bucket_of_rank_.size()));
  }
  uint32_t& index = bucket_of_rank_[rank];
  if (index == 0) {
    if (used_buckets_ == buckets_.size()) buckets_.emplace_back();
    buckets_[used_buckets_].rank = rank;
    index = static_cast<uint32_t>(++used_buckets_);
  }
  return index - 1;
}

void MergeQueue::push(uint32_t rank, uint32_t position) {
  const uint32_t index = bucket_of(rank);
  Bucket& bucket = buckets_[index];
  if (bucket.empty()) {
    bucket.rising.clear();
    bucket.next = 0;
    waiting_.push((static_cast<uint64_t>(rank) << 32) | index);
  }
  if (bucket.next == bucket.rising.size() || bucket.rising.back() <= position) {
    bucket.rising.push_back(position);
  } else {
    bucket.others.push(position);
  }
}

uint32_t MergeQueue::take_lowest(Bucket& bucket) {
  const bool has_rising = bucket.next < bucket.rising.size();
  if (has_rising && (bucket.others.empty() || bucket.rising[bucket.next] <= bucket.others.top())) {
    return bucket.rising[bucket.next++];
  }
  const uint32_t position = bucket.others.top();
  bucket.others.pop();
  return position;
}

bool MergeQueue::pop(uint32_t& rank, uint32_t& position) {
  if (waiting_.empty()) {
    for (size_t i = 0; i < used_buckets_; ++i) bucket_of_rank_[buckets_[i].rank] = 0;
    used_buckets_ = 0;
    return false;
  }
  Bucket& bucket = buckets_[static_cast<uint32_t>(waiting_.top())];
  rank = bucket.rank;
  position = take_lowest(bucket);
  if (bucket.empty()) waiting_.pop();
  return true;
}

Merge BpeMerger::find(Symbol left, Symbol right) const {
  if (left == kNoSymbol || right == kNoSymbol) return {};
  return merges_->find(left, right);
}

void BpeMerger::merge(std::vector<Part>& parts) {
  if (parts.size() < 2) return;
  pair_.resize(parts.size());
  for (size_t i = 0; i + 1 < parts.size(); ++i) pair_[i] = find(parts[i].symbol, parts[i + 1].symbol);
  pair_.back() = {};
  if (parts.size() <= kShortWord) {
    merge_short(parts);
  } else {
    merge_long(parts);
  }
}

void BpeMerger::merge_short(std::vector<Part>& parts) {
  size_t n = parts.size();
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (pair_[i].rank < pair_[best].rank) best = i;
    }
    if (pair_[best].rank == kNoRank) break;
    parts[best].symbol = pair_[best].result;
    std::copy(parts.begin() + static_cast<std::ptrdiff_t>(best) + 2, parts.begin() + static_cast<std::ptrdiff_t>(n),
              parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::copy(pair_.begin() + static_cast<std::ptrdiff_t>(best) + 2, pair_.begin() + static_cast<std::ptrdiff_t>(n),
              pair_.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    --n;
    if (best > 0) pair_[best - 1] = find(parts[best - 1].symbol, parts[best].symbol);
    pair_[best] = best + 1 < n ? find(parts[best].symbol, parts[best + 1].symbol) : Merge{};
  }
  parts.resize(n);
}

void BpeMerger::merge_long(std::vector<Part>& parts) {
  constexpr uint32_t kEnd = 0xFFFFFFFF;
  const auto n = static_cast<uint32_t>(parts.size());
  left_.resize(n);
  right_.resize(n);
  for (uint32_t i = 0; i < n; ++i) {
    left_[i] = i == 0 ? kEnd : i - 1;
    right_[i] = i + 1 == n ? kEnd : i + 1;
    if (pair_[i].rank != kNoRank) queue_.push(pair_[i].rank, i);
  }
  const auto renew = [&](uint32_t at) {
    const uint32_t neighbour = right_[at];
    pair_[at] = neighbour == kEnd ? Merge{} : find(parts[at].symbol, parts[neighbour].symbol);
    if (pair_[at].rank != kNoRank) queue_.push(pair_[at].rank, at);
  };
  uint32_t rank = 0;
  uint32_t at = 0;
  while (queue_.pop(rank, at)) {
    if (pair_[at].rank != rank) continue;  // the pair has changed since it was queued
    const uint32_t gone = right_[at];
    parts[at].symbol = pair_[at].result;
    right_[at] = right_[gone];
    if (right_[gone] != kEnd) left_[right_[gone]] = at;
    pair_[gone] = {};
    parts[gone].symbol = kNoSymbol;
    right_[gone] = gone;  // marks what is gone: nobody else is its own neighbour
    if (left_[at] != kEnd) renew(left_[at]);
    renew(at);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i < n; ++i) {
    if (right_[i] != i) parts[kept++] = parts[i];
  }
  parts.resize(kept);
}

}  // namespace strata
