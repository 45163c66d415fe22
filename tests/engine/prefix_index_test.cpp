#include "engine/prefix_index.h"

#include <gtest/gtest.h>

#include "engine/sequence.h"

namespace strata {
namespace {

const std::vector<TokenId> kTokens = {1, 2, 3, 70000};

TEST(PrefixIndexTest, NamesAreStableAcrossProcesses) {
  const Hash128 root = prefix_root({0x0123456789abcdef, 0xfedcba9876543210}, Hash128{}, "tenant");
  // Computed apart with Python's xxhash from the layout in the header.
  EXPECT_EQ(root.hex(), "67311730461a144ef3bc3851ffa8a6a5");
  EXPECT_EQ(prefix_block(root, kTokens).hex(), "8f9b844e0e16bc2a10ceb26c2a7bdacf");
}

TEST(PrefixIndexTest, EverythingInTheNameCounts) {
  const Hash128 root = prefix_root({1, 2}, Hash128{}, "");
  EXPECT_NE(root, prefix_root({1, 3}, Hash128{}, ""));
  EXPECT_NE(root, prefix_root({1, 2}, {0, 1}, ""));
  EXPECT_NE(root, prefix_root({1, 2}, Hash128{}, "x"));
  EXPECT_NE(root, prefix_outgrown(root));
  const Hash128 block = prefix_block(root, kTokens);
  EXPECT_NE(block, prefix_block(block, kTokens));
  EXPECT_NE(block, prefix_block(root, std::vector<TokenId>{1, 2, 3, 70001}));
}

TEST(PrefixIndexTest, FindsBlocksUntilTheyAreEvicted) {
  BlockPool pool(1);
  PrefixIndex index(pool);
  const Hash128 name{1, 1};
  const Hash128 other{2, 2};
  {
    const auto block = pool.allocate();
    index.insert(name, block->id());
  }
  EXPECT_EQ(index.find(name), 0);
  EXPECT_EQ(pool.available(), 1);
  {
    const auto block = pool.allocate();  // evicts
    EXPECT_FALSE(index.find(name));
    index.insert(other, block->id());
  }
  EXPECT_EQ(index.find(other), 0);
  EXPECT_EQ(index.size(), 1u);
}

TEST(PrefixIndexTest, TheFirstBlockOfANameStays) {
  BlockPool pool(2);
  PrefixIndex index(pool);
  auto first = pool.allocate();
  auto second = pool.allocate();
  const int id = first->id();
  index.insert({1, 1}, first->id());
  index.insert({1, 1}, second->id());
  EXPECT_EQ(index.find({1, 1}), id);
  second.reset();
  first.reset();
  // The private one went back empty, so it is given out before the known one.
  const auto next = pool.allocate();
  EXPECT_NE(next->id(), id);
  EXPECT_EQ(index.find({1, 1}), id);
}

TEST(PrefixIndexTest, ClaimsPassOn) {
  BlockPool pool(1);
  PrefixIndex index(pool);
  const Sequence first;
  const Sequence second;
  EXPECT_EQ(index.claimant({1, 1}), nullptr);
  index.claim({1, 1}, &first);
  index.claim({1, 1}, &second);
  index.drop_claim({1, 1}, &first);
  EXPECT_EQ(index.claimant({1, 1}), &second);
  index.drop_claim({1, 1}, &second);
  EXPECT_EQ(index.claims(), 0u);
}

}  // namespace
}  // namespace strata
