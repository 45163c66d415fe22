// What a runner does while there is nothing to compute changes no result.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <numeric>

#include "engine/model_runner.h"
#include "test_data.h"

namespace strata {
namespace {

int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

class UntouchedMemory : public testing::Test {
 protected:
  void SetUp() override {
    auto loaded = Model::load(std::filesystem::path(STRATA_SOURCE_DIR) / "models/strata-tales.gguf");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    model_ = std::move(*loaded);
    runner_ = make(size_t{8} << 20);
  }
  std::unique_ptr<ModelRunner> make(size_t kv_bytes) {
    RunnerOptions options;
    options.kv_bytes = kv_bytes;
    options.max_batch_tokens = 16;
    auto made = ModelRunner::make(*model_, *find_cpu_kernels(), pool_, options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }
  // Tokens [begin, begin + n) of one sequence, in the last of the runner's blocks.
  std::vector<float> logits(int begin, int n) {
    const int last = runner_->limits().n_blocks - 1;
    std::vector<int32_t> ids(static_cast<size_t>(n)), positions(ids.size());
    std::iota(ids.begin(), ids.end(), 100 + begin * 7);
    std::iota(positions.begin(), positions.end(), begin);
    std::vector<int64_t> slots;
    for (const int32_t position : positions) slots.push_back(int64_t{last} * runner_->limits().block_tokens + position);
    const std::vector<int32_t> rows = {n - 1}, query = {0, n}, context = {begin + n}, table = {last};
    Batch batch;
    batch.ids = ids;
    batch.positions = positions;
    batch.slots = slots;
    batch.query_begin = query;
    batch.context_len = context;
    batch.block_table = table;
    batch.block_table_stride = 1;
    batch.output_rows = rows;
    if (begin == 0) runner_->clear_block(last);
    const auto result = runner_->run(batch);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return std::vector<float>(result->begin(), result->end());
  }

  ThreadPool pool_{2};
  std::unique_ptr<Model> model_;
  std::unique_ptr<ModelRunner> runner_;
};

TEST_F(UntouchedMemory, KeepsWhatTheCacheHolds) {
  logits(0, 9);
  const std::vector<float> expected = logits(9, 3);
  logits(0, 9);
  int calls = 0;
  while (runner_->prepare()) ASSERT_LT(++calls, 100000);
  EXPECT_GT(calls, 1);
  EXPECT_FALSE(runner_->prepare());
  EXPECT_EQ(logits(9, 3), expected);
}

TEST_F(UntouchedMemory, TakesAllOfTheCache) {
  const int64_t before = resident_bytes();
  while (runner_->prepare()) {
  }
  EXPECT_GT(resident_bytes() - before, static_cast<int64_t>(runner_->cache_bytes() / 10 * 9));
}

}  // namespace
}  // namespace strata
