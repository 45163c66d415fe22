#include "engine/block_pool.h"

#include "base/check.h"

namespace strata {

Block::Block(const Block& other) : pool_(other.pool_), id_(other.id_) {
  if (pool_ != nullptr) ++pool_->entry(id_).uses;
}

Block::~Block() {
  if (pool_ != nullptr) pool_->release(id_);
}

int Block::use_count() const { return pool_ == nullptr ? 0 : pool_->entry(id_).uses; }

BlockPool::BlockPool(int n_blocks) : entries_(static_cast<size_t>(n_blocks)) {
  empty_.reserve(entries_.size());
  for (int id = n_blocks - 1; id >= 0; --id) empty_.push_back(id);
}

BlockPool::~BlockPool() { CHECK_EQ(held_, 0); }

std::optional<Block> BlockPool::allocate() {
  int id = -1;
  if (!empty_.empty()) {
    id = empty_.back();
    empty_.pop_back();
  } else if (oldest_ >= 0) {
    id = oldest_;
    unlink_kept(id);
    entry(id).kept = false;
    if (on_evict_) on_evict_(id);
  } else {
    return std::nullopt;
  }
  entry(id).uses = 1;
  ++held_;
  return Block(this, id);
}

Block BlockPool::acquire(int id) {
  Entry& block = entry(id);
  if (block.uses == 0) {
    CHECK(block.kept);
    unlink_kept(id);
    ++held_;
  }
  ++block.uses;
  return Block(this, id);
}

void BlockPool::release(int id) {
  Entry& block = entry(id);
  CHECK_GT(block.uses, 0);
  if (--block.uses > 0) return;
  --held_;
  if (!block.kept) {
    empty_.push_back(id);
    return;
  }
  block.older = newest_;
  block.newer = -1;
  if (newest_ >= 0) entry(newest_).newer = id;
  newest_ = id;
  if (oldest_ < 0) oldest_ = id;
}

void BlockPool::unlink_kept(int id) {
  Entry& block = entry(id);
  if (block.older >= 0) entry(block.older).newer = block.newer;
  if (block.newer >= 0) entry(block.newer).older = block.older;
  if (oldest_ == id) oldest_ = block.newer;
  if (newest_ == id) newest_ = block.older;
  block.older = block.newer = -1;
}

}  // namespace strata
