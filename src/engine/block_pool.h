// The physical blocks of a cache as reference-counted values: a block goes back to its pool with its last copy, so
// sharing a prefix is a copy and a leak cannot be written. Blocks whose contents are worth keeping (`keep`) wait in
// least-recently released order and are given out only when no empty block is left.
//
// Thread rule: the engine thread alone. The pool outlives its blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace strata {

class BlockPool;

// One counted reference to a block. Empty after it was moved from.
class Block {
 public:
  Block(const Block& other);
  Block(Block&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), id_(other.id_) {}
  Block& operator=(Block other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~Block();

  int id() const { return id_; }
  int use_count() const;

 private:
  friend class BlockPool;
  Block(BlockPool* pool, int id) : pool_(pool), id_(id) {}
  BlockPool* pool_;
  int id_;
};

class BlockPool {
 public:
  explicit BlockPool(int n_blocks);
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();  // CHECKs that no block is held any more

  // An empty block, else the kept one released longest ago, of which the listener is told. nullopt: all are held.
  std::optional<Block> allocate();
  // Another reference to a block that is held or kept.
  Block acquire(int id);

  // The contents stay when the last reference goes, until `allocate` needs the block.
  void keep(int id) { entries_[static_cast<size_t>(id)].kept = true; }
  void set_evict_listener(std::function<void(int id)> listener) { on_evict_ = std::move(listener); }

  int size() const { return static_cast<int>(entries_.size()); }
  int available() const { return size() - held_; }  // blocks `allocate` can still give
  int held() const { return held_; }
  bool is_held(int id) const { return entries_[static_cast<size_t>(id)].uses > 0; }

 private:
  friend class Block;
  // A block nobody holds is in exactly one list: empty (a stack) or kept (doubly linked through the entries).
  struct Entry {
    int uses = 0;
    bool kept = false;
    int older = -1;
    int newer = -1;
  };
  Entry& entry(int id) { return entries_[static_cast<size_t>(id)]; }
  void release(int id);
  void unlink_kept(int id);

  std::vector<Entry> entries_;
  std::vector<int> empty_;
  int oldest_ = -1;
  int newest_ = -1;
  int held_ = 0;
  std::function<void(int)> on_evict_;
};

}  // namespace strata
