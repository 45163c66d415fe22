#include "engine/block_pool.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/random_requests.h"

namespace strata {
namespace {

TEST(BlockPoolTest, ABlockReturnsWithItsLastCopy) {
  BlockPool pool(2);
  auto first = pool.allocate();
  ASSERT_TRUE(first);
  {
    const Block copy = *first;
    EXPECT_EQ(first->use_count(), 2);
    first.reset();
    EXPECT_EQ(copy.use_count(), 1);
    EXPECT_EQ(pool.held(), 1);
  }
  EXPECT_EQ(pool.held(), 0);
}

TEST(BlockPoolTest, GivesNothingWhenAllAreHeld) {
  BlockPool pool(2);
  const auto a = pool.allocate();
  auto b = pool.allocate();
  EXPECT_NE(a->id(), b->id());
  EXPECT_FALSE(pool.allocate());
  b.reset();
  EXPECT_TRUE(pool.allocate());
}

TEST(BlockPoolTest, AssignmentReleasesWhatWasHeld) {
  BlockPool pool(2);
  Block a = *pool.allocate();
  Block b = *pool.allocate();
  const int kept = b.id();
  a = std::move(b);
  EXPECT_EQ(a.id(), kept);
  EXPECT_EQ(pool.held(), 1);
  Block& same = a;
  a = same;
  EXPECT_EQ(a.use_count(), 1);
}

TEST(BlockPoolTest, KeptBlocksAreTakenLastAndOldestFirst) {
  BlockPool pool(3);
  std::vector<int> evicted;
  pool.set_evict_listener([&](int id) { evicted.push_back(id); });
  auto a = pool.allocate();
  auto b = pool.allocate();
  const int first = a->id();
  const int second = b->id();
  pool.keep(first);
  pool.keep(second);
  b.reset();
  a.reset();
  EXPECT_EQ(pool.available(), 3);
  const auto empty = pool.allocate();
  EXPECT_TRUE(evicted.empty());
  const auto old = pool.allocate();
  EXPECT_EQ(old->id(), second);  // released first
  {
    const Block again = pool.acquire(first);  // no longer anybody's to take
    EXPECT_FALSE(pool.allocate());
  }
  EXPECT_EQ(pool.allocate()->id(), first);
  EXPECT_EQ(evicted, (std::vector<int>{second, first}));
}

// Random use against a model that is a plain table of counts.
TEST(BlockPoolTest, RandomUseKeepsTheCounts) {
  Dice dice(5);
  BlockPool pool(12);
  std::vector<Block> blocks;
  std::map<int, int> uses;
  std::map<int, bool> kept;
  pool.set_evict_listener([&](int id) {
    EXPECT_TRUE(kept[id]);
    EXPECT_EQ(uses[id], 0);
    kept[id] = false;
  });
  for (int i = 0; i < 20000; ++i) {
    const int action = dice.below(4);
    if (action == 0) {
      if (auto block = pool.allocate()) {
        EXPECT_EQ(uses[block->id()]++, 0);
        blocks.push_back(*std::move(block));
      } else {
        EXPECT_EQ(pool.held(), 12);
      }
    } else if (action == 1 && !blocks.empty()) {
      blocks.push_back(blocks[static_cast<size_t>(dice.below(static_cast<int>(blocks.size())))]);
      ++uses[blocks.back().id()];
    } else if (action == 2 && !blocks.empty()) {
      const size_t at = static_cast<size_t>(dice.below(static_cast<int>(blocks.size())));
      --uses[blocks[at].id()];
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (action == 3) {
      const int id = dice.below(12);
      if (uses[id] > 0) {
        pool.keep(id);
        kept[id] = true;
      } else if (kept[id]) {
        blocks.push_back(pool.acquire(id));
        ++uses[id];
      }
    }
    int held = 0;
    for (const auto& [id, count] : uses) held += count > 0;
    ASSERT_EQ(pool.held(), held);
  }
}

}  // namespace
}  // namespace strata
