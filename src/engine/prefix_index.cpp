#include "engine/prefix_index.h"

#include <string>

namespace strata {
namespace {

void append_integer(std::string& bytes, uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

Hash128 hash_string(const std::string& bytes) { return hash_bytes(std::as_bytes(std::span(bytes))); }

}  // namespace

Hash128 prefix_root(const Hash128& identity, const Hash128& adapter, std::string_view salt) {
  std::string bytes = "strata-prefix-2";
  append_integer(bytes, identity.low, 8);
  append_integer(bytes, identity.high, 8);
  append_integer(bytes, adapter.low, 8);
  append_integer(bytes, adapter.high, 8);
  bytes += salt;
  return hash_string(bytes);
}

Hash128 prefix_outgrown(const Hash128& root) { return prefix_block(root, {}); }

Hash128 prefix_block(const Hash128& parent, std::span<const TokenId> tokens) {
  std::string bytes;
  bytes.reserve(16 + 4 * tokens.size());
  append_integer(bytes, parent.low, 8);
  append_integer(bytes, parent.high, 8);
  for (const TokenId token : tokens) append_integer(bytes, static_cast<uint32_t>(token), 4);
  return hash_string(bytes);
}

PrefixIndex::PrefixIndex(BlockPool& pool) : pool_(pool), names_(static_cast<size_t>(pool.size())) {
  pool_.set_evict_listener([this](int block) { blocks_.erase(names_[static_cast<size_t>(block)]); });
}

PrefixIndex::~PrefixIndex() { pool_.set_evict_listener(nullptr); }

std::optional<int> PrefixIndex::find(const Hash128& name) const {
  const auto found = blocks_.find(name);
  if (found == blocks_.end()) return std::nullopt;
  return found->second;
}

void PrefixIndex::insert(const Hash128& name, int block) {
  if (!blocks_.try_emplace(name, block).second) return;
  names_[static_cast<size_t>(block)] = name;
  pool_.keep(block);
}

const Sequence* PrefixIndex::claimant(const Hash128& name) const {
  const auto found = claims_.find(name);
  return found == claims_.end() ? nullptr : found->second;
}

void PrefixIndex::drop_claim(const Hash128& name, const Sequence* claimant) {
  const auto found = claims_.find(name);
  if (found != claims_.end() && found->second == claimant) claims_.erase(found);
}

}  // namespace strata
