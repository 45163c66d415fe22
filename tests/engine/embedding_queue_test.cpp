// Who goes next when requests share the steps of the embedding engine.
#include "engine/embedding_queue.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

EmbeddingRequest request_of(const std::vector<int>& sizes) {
  EmbeddingRequest request;
  for (const int size : sizes) request.texts.push_back({std::vector<TokenId>(static_cast<size_t>(size), 1), {}});
  return request;
}

std::vector<std::pair<uint64_t, size_t>> pairs(const std::vector<EmbeddingQueue::Pick>& picks) {
  std::vector<std::pair<uint64_t, size_t>> out;
  for (const auto& pick : picks) out.emplace_back(pick.handle, pick.text);
  return out;
}

using Picks = std::vector<std::pair<uint64_t, size_t>>;

TEST(EmbeddingQueue, FillsTheBudgetInTheOrderOfTheRequest) {
  EmbeddingQueue queue;
  queue.add(1, request_of({4, 4, 4, 1}));
  EXPECT_EQ(pairs(queue.next(8, 10)), (Picks{{1, 0}, {1, 1}}));
  EXPECT_EQ(pairs(queue.next(8, 10)), (Picks{{1, 2}, {1, 3}}));
  EXPECT_TRUE(queue.next(8, 10).empty());
  EXPECT_FALSE(queue.empty());  // until it is answered
  queue.remove(1);
  EXPECT_TRUE(queue.empty());
}

TEST(EmbeddingQueue, ALongTextGoesAloneAndTextsAreLimited) {
  EmbeddingQueue queue;
  queue.add(1, request_of({1, 100, 1, 1, 1}));
  EXPECT_EQ(pairs(queue.next(8, 2)), (Picks{{1, 0}}));
  EXPECT_EQ(pairs(queue.next(8, 2)), (Picks{{1, 1}}));
  EXPECT_EQ(pairs(queue.next(8, 2)), (Picks{{1, 2}, {1, 3}}));
}

TEST(EmbeddingQueue, ASmallRequestDoesNotWaitForALargeOne) {
  EmbeddingQueue queue;
  queue.add(1, request_of(std::vector<int>(1000, 4)));
  for (int step = 0; step < 10; ++step) EXPECT_EQ(queue.next(8, 10).size(), 2u);
  queue.add(2, request_of({4}));
  const Picks picks = pairs(queue.next(8, 10));
  EXPECT_TRUE(std::count(picks.begin(), picks.end(), std::pair<uint64_t, size_t>{2, 0}) == 1);
}

TEST(EmbeddingQueue, SharesTokensEvenly) {
  EmbeddingQueue queue;
  queue.add(1, request_of(std::vector<int>(100, 8)));
  queue.add(2, request_of(std::vector<int>(400, 2)));
  int64_t tokens[3] = {};
  for (int step = 0; step < 20; ++step) {
    for (const auto& pick : queue.next(16, 100)) tokens[pick.handle] += pick.handle == 1 ? 8 : 2;
  }
  EXPECT_LE(std::abs(tokens[1] - tokens[2]), 8);
}

TEST(EmbeddingQueue, WhoComesLaterOwesNothingAndOwnsNothing) {
  EmbeddingQueue queue;
  queue.add(1, request_of(std::vector<int>(100, 4)));
  for (int step = 0; step < 40; ++step) queue.next(4, 10);
  queue.add(2, request_of(std::vector<int>(100, 4)));
  int steps[3] = {};
  for (int step = 0; step < 20; ++step) ++steps[queue.next(4, 10).front().handle];
  EXPECT_EQ(steps[1], 10);
  EXPECT_EQ(steps[2], 10);
}

TEST(EmbeddingQueue, RemovedRequestsGiveNoTexts) {
  EmbeddingQueue queue;
  queue.add(1, request_of({4, 4}));
  queue.add(2, request_of({4}));
  queue.remove(1);
  queue.remove(7);
  EXPECT_EQ(pairs(queue.next(100, 10)), (Picks{{2, 0}}));
}

}  // namespace
}  // namespace strata
