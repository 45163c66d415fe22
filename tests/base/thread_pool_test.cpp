#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

namespace strata {
namespace {

// Phases of given sizes. Checks that each unit of a phase is computed once, after all units of the phases before.
class Counted final : public PhasedWork {
 public:
  Counted(const ThreadPool& pool, std::vector<int64_t> sizes) : pool_(pool), sizes_(std::move(sizes)) {
    for (const int64_t size : sizes_) times_.emplace_back(static_cast<size_t>(size));
  }

  Phase next_phase(int64_t* units) override {
    EXPECT_EQ(computing_.load(), 0);
    if (phase_ >= 0) {
      for (const std::atomic<int>& times : times_[static_cast<size_t>(phase_)]) EXPECT_EQ(times.load(), 1);
    }
    if (++phase_ == static_cast<int>(sizes_.size())) return Phase::kOver;
    const int64_t size = sizes_[static_cast<size_t>(phase_)];
    for (int g = 0; g < pool_.n_groups(); ++g) {
      const auto [begin, end] = pool_.share_of_group(g, size);
      units[g] = end - begin;
    }
    return phase_ % 5 == 3 ? Phase::kAlone : Phase::kShared;
  }

  void compute(int64_t begin, int64_t end, int worker) override {
    ++computing_;
    EXPECT_LT(begin, end);
    EXPECT_GE(worker, 0);
    EXPECT_LT(worker, pool_.n_threads());
    if (phase_ % 5 == 3) {
      EXPECT_EQ(end - begin, sizes_[static_cast<size_t>(phase_)]);
    }
    for (int64_t i = begin; i < end; ++i) ++times_[static_cast<size_t>(phase_)][static_cast<size_t>(i)];
    --computing_;
  }

  bool is_over() const { return phase_ == static_cast<int>(sizes_.size()); }

 private:
  const ThreadPool& pool_;
  std::vector<int64_t> sizes_;
  std::vector<std::vector<std::atomic<int>>> times_;
  std::atomic<int> computing_{0};
  int phase_ = -1;
};

std::vector<WorkerPlace> groups(const std::vector<int>& workers) {
  std::vector<WorkerPlace> places;
  for (size_t g = 0; g < workers.size(); ++g)
    places.insert(places.end(), static_cast<size_t>(workers[g]), {static_cast<int>(g), {}});
  return places;
}

class ThreadPools : public testing::TestWithParam<std::vector<int>> {};  // workers of each group

TEST_P(ThreadPools, ComputeEachUnitOfEachPhaseOnceAndPhasesInOrder) {
  ThreadPool pool(groups(GetParam()));
  for (int job = 0; job < 30; ++job) {
    Counted work(pool, {1, 7, 0, 100, 3, 1, 64, 2, 9, 0, 1000, 5, 5, 5});
    pool.run(work);
    EXPECT_TRUE(work.is_over());
  }
}

TEST_P(ThreadPools, SharesOfGroupsAreTheWholeInOrder) {
  const ThreadPool pool(groups(GetParam()));
  for (const int64_t n : {0, 1, 5, 1000}) {
    int64_t at = 0;
    for (int g = 0; g < pool.n_groups(); ++g) {
      const auto [begin, end] = pool.share_of_group(g, n);
      EXPECT_EQ(begin, at);
      EXPECT_LE(begin, end);
      at = end;
    }
    EXPECT_EQ(at, n);
  }
}

TEST_P(ThreadPools, ParallelForCoversTheRangeInWholeGrains) {
  ThreadPool pool(groups(GetParam()));
  for (const int64_t n : {0, 1, 6, 7, 8, 1001}) {
    std::vector<std::atomic<int>> times(static_cast<size_t>(n));
    pool.parallel_for(n, 7, [&](int64_t begin, int64_t end, int) {
      EXPECT_EQ(begin % 7, 0);
      EXPECT_TRUE(end % 7 == 0 || end == n);
      for (int64_t i = begin; i < end; ++i) ++times[static_cast<size_t>(i)];
    });
    for (const std::atomic<int>& t : times) EXPECT_EQ(t.load(), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPools,
                         testing::Values(std::vector<int>{1}, std::vector<int>{2}, std::vector<int>{5},
                                         std::vector<int>{1, 1}, std::vector<int>{3, 1, 2}),
                         [](const auto& sizes) {
                           std::string name;
                           for (const int workers : sizes.param)
                             name += (name.empty() ? "" : "And") + std::to_string(workers);
                           return name;
                         });

// A phase of two units whose first one waits until another worker has computed the second.
TEST(ThreadPool, WorkersComputeAtTheSameTime) {
  ThreadPool pool(2);
  std::atomic<int> second{-1};
  std::atomic<int> first{-1};
  pool.parallel_for(2, 1, [&](int64_t begin, int64_t, int worker) {
    (begin == 0 ? first : second).store(worker);
    second.notify_one();
    if (begin == 0) second.wait(-1);
  });
  EXPECT_NE(first.load(), second.load());
}

// Whoever calls is worker 0 of its own job, also when callers take turns.
TEST(ThreadPool, JobsOfSeveralCallersFollowEachOther) {
  ThreadPool pool(3);
  for (int i = 0; i < 20; ++i) {
    std::jthread([&] {
      Counted work(pool, {20, 1, 20});
      pool.run(work);
      EXPECT_TRUE(work.is_over());
    });
  }
}

}  // namespace
}  // namespace strata
