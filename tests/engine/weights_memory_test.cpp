// Models bigger than the memory for their weights: the same bits as with everything in memory, and reads that fail
// fail the step, never its numbers.
#include "engine/weights_memory.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/model_runner.h"
#include "model/format/test_files.h"
#include "test_data.h"

namespace strata {
namespace {

using test::TemporaryFolder;
namespace fs = std::filesystem;

const fs::path kModel = fs::path(STRATA_SOURCE_DIR) / "models/strata-tales.gguf";

class StreamedModel {
 public:
  StreamedModel(const fs::path& folder, uint64_t memory, int threads = 1) : pool_(threads) {
    Result<std::unique_ptr<Model>> loaded = Model::load(kModel);
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    model_ = std::move(*loaded);
    RunnerOptions options;
    options.kv_bytes = 1 << 20;
    options.max_batch_tokens = 16;
    options.max_sequences = 2;
    options.packed_cache.folder = folder;
    options.weights_memory = memory;
    Result<std::unique_ptr<ModelRunner>> made = ModelRunner::make(*model_, *find_cpu_kernels(), pool_, options);
    status_ = made.status();
    if (made.ok()) runner_ = std::move(*made);
  }

  const Status& status() const { return status_; }
  ModelRunner& runner() { return *runner_; }

  // A prefill of `n` tokens from position `begin`, or a decoded token.
  Result<std::vector<float>> logits(int begin, int n) {
    std::vector<int32_t> ids(static_cast<size_t>(n)), positions(ids.size());
    std::iota(ids.begin(), ids.end(), 100 + begin * 7);
    std::iota(positions.begin(), positions.end(), begin);
    const std::vector<int64_t> slots(positions.begin(), positions.end());
    const std::vector<int32_t> rows = {n - 1}, query = {0, n}, context = {begin + n}, table = {0, 1};
    Batch batch;
    batch.ids = ids;
    batch.positions = positions;
    batch.slots = slots;
    batch.query_begin = query;
    batch.context_len = context;
    batch.block_table = table;
    batch.block_table_stride = 2;
    batch.output_rows = rows;
    if (begin == 0) {
      runner_->clear_block(0);
      runner_->clear_block(1);
    }
    ASSIGN_OR_RETURN(const std::span<const float> logits, runner_->run(batch));
    return std::vector<float>(logits.begin(), logits.end());
  }

  std::vector<float> all() {
    std::vector<float> out;
    for (const auto& [begin, n] : {std::pair(0, 9), {9, 1}, {10, 1}, {11, 5}}) {
      const Result<std::vector<float>> part = logits(begin, n);
      EXPECT_TRUE(part.ok()) << part.status().message();
      if (part.ok()) out.insert(out.end(), part->begin(), part->end());
    }
    return out;
  }

 private:
  ThreadPool pool_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<ModelRunner> runner_;
  Status status_;
};

fs::path weights_file(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".weights") return entry.path();
  }
  return {};
}

TEST(WeightsMemory, StreamedModelsGiveTheSameBits) {
  const TemporaryFolder folder;
  const std::vector<float> whole = StreamedModel({}, 0).all();
  for (const uint64_t memory : {3'000'000, 3'500'000, 5'000'000}) {
    for (const int threads : {1, 2}) {
      StreamedModel model(folder.path(), memory, threads);
      ASSERT_TRUE(model.status().ok()) << model.status().message();
      EXPECT_GT(model.runner().plan().n_segments(), 3);
      EXPECT_EQ(model.all(), whole) << memory << " bytes, " << threads << " threads";
      const WeightStream* stream = model.runner().context().stream();
      ASSERT_NE(stream, nullptr);
      EXPECT_GE(stream->bytes_read(), 4 * stream->bytes_per_round() * 9 / 10);
      EXPECT_LE(model.runner().weight_bytes() + stream->buffer_bytes(), memory);
    }
  }
}

TEST(WeightsMemory, NothingIsStreamedWhereEverythingFits) {
  const TemporaryFolder folder;
  StreamedModel model(folder.path(), 100'000'000);
  ASSERT_TRUE(model.status().ok());
  EXPECT_EQ(model.runner().context().stream(), nullptr);
  EXPECT_EQ(model.all(), StreamedModel({}, 0).all());
}

TEST(WeightsMemory, SaysHowMuchIsNeeded) {
  const TemporaryFolder folder;
  const Status status = StreamedModel(folder.path(), 100'000).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("at least"), std::string::npos) << status.message();
}

TEST(WeightsMemory, NeedsAFile) {
  EXPECT_NE(StreamedModel({}, 3'000'000).status().message().find("--packed-cache"), std::string::npos);
  const TemporaryFolder folder;
  folder.write("file", "");
  const Status status = StreamedModel(folder.path() / "file" / "x", 3'000'000).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("--weights-memory"), std::string::npos) << status.message();
}

TEST(WeightsMemory, DamageFailsTheStepAndOnlyIt) {
  const TemporaryFolder folder;
  const std::vector<float> whole = StreamedModel({}, 0).all();
  StreamedModel model(folder.path(), 3'000'000);
  ASSERT_TRUE(model.status().ok()) << model.status().message();
  EXPECT_EQ(model.all(), whole);
  const fs::path path = weights_file(folder.path());
  const std::string bytes = test::read_text(path);
  const auto write_back = [&](size_t begin, size_t n, char flip) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::string part = bytes.substr(begin, n);
    for (char& c : part) c = static_cast<char>(c ^ flip);
    file.seekp(static_cast<std::streamoff>(begin)).write(part.data(), static_cast<std::streamsize>(part.size()));
  };
  write_back(0, bytes.size(), 1);  // every weight; what was read ahead is still good
  EXPECT_TRUE([&] {
    for (int i = 0; i < 3; ++i) {
      const Result<std::vector<float>> logits = model.logits(0, 9);
      if (logits.ok()) continue;
      EXPECT_EQ(logits.status().code(), Code::kDataLoss);
      EXPECT_NE(logits.status().message().find("damaged"), std::string::npos) << logits.status().message();
      return true;
    }
    return false;
  }());
  write_back(0, bytes.size(), 0);
  while (!model.logits(0, 9).ok()) {  // what was read ahead meanwhile
  }
  EXPECT_EQ(model.all(), whole);

  ASSERT_EQ(::truncate(path.c_str(), 8192), 0);
  bool failed = false;
  for (int i = 0; i < 3 && !failed; ++i) failed = !model.logits(0, 9).ok();
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace strata
