// Finds cache blocks by content: a full block is named by a 128-bit hash chained over everything before it, so equal
// names mean equal contents (2^-128 collisions aside). A block that some sequence is computing right now is claimed by
// it, so that others can wait instead of computing it again.
//
// The hash, stable across processes and machines (XXH3-128, seed 0, integers little endian):
//   root(adapter, salt)   = H("strata-prefix-2" identity.low:u64 identity.high:u64 adapter.low:u64 adapter.high:u64
//                             salt bytes); `adapter` is 0 without one, else AdapterWeights::identity
//   block(parent, tokens) = H(parent.low:u64 parent.high:u64 token:i32 ...)
//   outgrown(root)        = H(root.low:u64 root.high:u64), the root of sequences beyond the short context
// `identity` covers weights, arithmetic id, tensor-parallel degree, depth, width and cache type (RunnerLimits).
//
// Thread rule: the engine thread alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "engine/block_pool.h"
#include "model/text/tokenizer.h"

namespace strata {

struct Sequence;

Hash128 prefix_root(const Hash128& identity, const Hash128& adapter, std::string_view salt);
Hash128 prefix_outgrown(const Hash128& root);
Hash128 prefix_block(const Hash128& parent, std::span<const TokenId> tokens);

class PrefixIndex {
 public:
  // Listens to the pool's evictions; the pool outlives the index.
  explicit PrefixIndex(BlockPool& pool);
  ~PrefixIndex();
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  std::optional<int> find(const Hash128& name) const;
  // Names a computed block. When another block has the name already, that one stays and this one remains private.
  void insert(const Hash128& name, int block);

  // The sequence that is computing the block, or null. A sequence drops its claims before it dies.
  const Sequence* claimant(const Hash128& name) const;
  void claim(const Hash128& name, const Sequence* claimant) { claims_[name] = claimant; }
  // Does nothing when the claim has passed to somebody else.
  void drop_claim(const Hash128& name, const Sequence* claimant);

  size_t size() const { return blocks_.size(); }
  size_t claims() const { return claims_.size(); }

 private:
  BlockPool& pool_;
  std::unordered_map<Hash128, int> blocks_;
  std::vector<Hash128> names_;  // [n_blocks] the name under which a block is found
  std::unordered_map<Hash128, const Sequence*> claims_;
};

}  // namespace strata
