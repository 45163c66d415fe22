// Packed weights kept on disk: the second start packs nothing and computes the same bits; whatever is wrong in the
// folder is made anew or done without, never used.
#include "engine/packed_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <numeric>
#include <thread>

#include "engine/model_embedder.h"
#include "engine/model_runner.h"
#include "model/format/test_files.h"
#include "test_data.h"

namespace strata {
namespace {

using test::TemporaryFolder;
namespace fs = std::filesystem;

const fs::path kModel = fs::path(STRATA_SOURCE_DIR) / "models/strata-tales.gguf";

struct Start {
  Start(const fs::path& path, PackedCacheOptions cache, int threads = 1) : pool(threads) {
    Result<std::unique_ptr<Model>> loaded = Model::load(path);
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (!loaded.ok()) return;
    model = std::move(*loaded);
    RunnerOptions options;
    options.kv_bytes = 1 << 20;
    options.max_batch_tokens = 16;
    options.max_sequences = 2;
    options.packed_cache = std::move(cache);
    Result<std::unique_ptr<ModelRunner>> made = ModelRunner::make(*model, *find_cpu_kernels(), pool, options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (made.ok()) runner = std::move(*made);
  }

  std::vector<float> logits() {
    const std::vector<int32_t> ids = {1, 5, 9, 200};
    const std::vector<int32_t> positions = {0, 1, 2, 3}, rows = {3}, begin = {0, 4}, context = {4}, table = {0};
    const std::vector<int64_t> slots = {0, 1, 2, 3};
    Batch batch;
    batch.ids = ids;
    batch.positions = positions;
    batch.slots = slots;
    batch.query_begin = begin;
    batch.context_len = context;
    batch.block_table = table;
    batch.block_table_stride = 1;
    batch.output_rows = rows;
    runner->clear_block(0);
    const Result<std::span<const float>> logits = runner->run(batch);
    EXPECT_TRUE(logits.ok());
    return {logits->begin(), logits->end()};
  }

  size_t packed_bytes() const { return runner->binder()->packed_bytes(); }

  ThreadPool pool;
  std::unique_ptr<Model> model;
  std::unique_ptr<ModelRunner> runner;
};

const std::vector<float>& expected_logits() {
  static const std::vector<float> logits = Start(kModel, {}).logits();
  return logits;
}

std::vector<fs::path> files(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension) found.push_back(entry.path());
  }
  return found;
}

std::string contents(const fs::path& path) { return test::read_text(path); }

void overwrite(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(PackedCache, SecondStartPacksNothingAndComputesTheSame) {
  const TemporaryFolder folder;
  const PackedCacheOptions cache{.folder = folder.path() / "made" / "when missing"};
  Start first(kModel, cache);
  Start second(kModel, cache, 2);
  EXPECT_EQ(second.packed_bytes(), 0U);
  EXPECT_EQ(first.packed_bytes(), 0U);  // the first one maps what it wrote
  EXPECT_EQ(second.runner->weight_bytes(), Start(kModel, {}).runner->weight_bytes());
  EXPECT_EQ(first.logits(), expected_logits());
  EXPECT_EQ(second.logits(), expected_logits());
  EXPECT_EQ(files(cache.folder, ".weights").size(), 1U);
  EXPECT_EQ(files(cache.folder, ".source").size(), 1U);
  EXPECT_EQ(std::distance(fs::directory_iterator(cache.folder), fs::directory_iterator()), 2);
}

TEST(PackedCache, SmallModelsAreNotKept) {
  const TemporaryFolder folder;
  Start start(kModel, {.folder = folder.path(), .min_bytes = uint64_t{1} << 30});
  EXPECT_GT(start.packed_bytes(), 0U);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(PackedCache, EncodersAreKeptToo) {
  const TemporaryFolder folder;
  const fs::path path = fs::path(STRATA_SOURCE_DIR) / "tests/data/arch/roberta";
  ThreadPool pool(1);
  const Result<std::unique_ptr<Model>> model = Model::load(path);
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::vector<std::vector<float>> rows;
  for (const fs::path& kept : {fs::path(), folder.path(), folder.path()}) {
    EmbedderOptions options;
    options.packed_cache.folder = kept;
    auto embedder = ModelEmbedder::make(**model, *find_cpu_kernels(), pool, options);
    ASSERT_TRUE(embedder.ok()) << embedder.status().message();
    const std::vector<int32_t> ids = {0, 5, 9, 2};
    const TextTokens text{ids, {}};
    ASSERT_TRUE((*embedder)->run({&text, 1}).ok());
    const std::span<const float> row = (*embedder)->rows(TextOutput::kMean);
    rows.emplace_back(row.begin(), row.end());
  }
  EXPECT_EQ(rows[0], rows[1]);
  EXPECT_EQ(rows[0], rows[2]);
  EXPECT_EQ(files(folder.path(), ".weights").size(), 1U);
}

TEST(PackedCache, DamagedFilesAreMadeAnew) {
  const TemporaryFolder folder;
  const PackedCacheOptions cache{.folder = folder.path()};
  Start(kModel, cache);
  const fs::path file = files(folder.path(), ".weights").at(0);
  const std::string whole = contents(file);
  std::vector<std::string> broken;
  for (const size_t at : {size_t{64}, whole.size() / 2, whole.size() - 100, whole.size() - 1}) {
    broken.push_back(whole);
    broken.back()[at] = static_cast<char>(broken.back()[at] ^ 4);
  }
  broken.push_back(whole.substr(0, whole.size() / 3));
  broken.push_back("");
  broken.push_back(std::string(whole.size(), '\0'));
  for (const std::string& bytes : broken) {
    overwrite(file, bytes);
    Start again(kModel, cache);
    EXPECT_EQ(again.logits(), expected_logits());
    EXPECT_EQ(again.packed_bytes(), 0U);
    EXPECT_EQ(contents(file), whole);
  }
}

TEST(PackedCache, ADamagedRecordIsNotBelieved) {
  const TemporaryFolder folder;
  const PackedCacheOptions cache{.folder = folder.path()};
  Start(kModel, cache);
  const fs::path record = files(folder.path(), ".source").at(0);
  const std::string whole = contents(record);
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 1);
    overwrite(record, broken);
    Start again(kModel, cache);
    EXPECT_EQ(again.packed_bytes(), 0U);
    EXPECT_EQ(files(folder.path(), ".weights").size(), 1U);  // the contents were read again
    EXPECT_EQ(contents(record), whole);
  }
}

// A model changed in place whose size and time of change were put back: its inode's own time tells.
TEST(PackedCache, ChangedModelsAreSeen) {
  const TemporaryFolder folder;
  const PackedCacheOptions cache{.folder = folder.path() / "cache"};
  const fs::path copy = folder.path() / "model.gguf";
  fs::copy_file(kModel, copy);
  struct stat before {};
  ASSERT_EQ(::stat(copy.c_str(), &before), 0);
  EXPECT_EQ(Start(copy, cache).logits(), expected_logits());

  std::string bytes = contents(copy);
  for (size_t at = bytes.size() / 2; at < bytes.size() / 2 + 3000; at += 34)
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
  {
    std::fstream in_place(copy, std::ios::in | std::ios::out | std::ios::binary);
    in_place.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  const timespec times[] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, copy.c_str(), times, 0), 0);
  Start changed(copy, cache);
  EXPECT_NE(changed.logits(), expected_logits());
  EXPECT_EQ(changed.logits(), Start(copy, {}).logits());
  EXPECT_EQ(files(cache.folder, ".weights").size(), 2U);
}

TEST(PackedCache, ACopyOfTheModelFindsTheSameFile) {
  const TemporaryFolder folder;
  const PackedCacheOptions cache{.folder = folder.path() / "cache"};
  Start(kModel, cache);
  fs::copy_file(kModel, folder.path() / "other name.gguf");
  EXPECT_EQ(Start(folder.path() / "other name.gguf", cache).logits(), expected_logits());
  EXPECT_EQ(files(cache.folder, ".weights").size(), 1U);
}

TEST(PackedCache, OtherLayoutsHaveOtherFiles) {
  const TemporaryFolder folder;
  ThreadPool pool(1);
  const Result<std::unique_ptr<Model>> model = Model::load(kModel);
  ASSERT_TRUE(model.ok());
  size_t tables = 0;
  for (const char* isa : {"reference", "generic", "avx2", "avx512vnni", "avx512"}) {
    const CpuKernels* kernels = find_cpu_kernels(isa);
    if (kernels == nullptr) continue;
    RunnerOptions options;
    options.kv_bytes = 1 << 20;
    options.packed_cache.folder = folder.path();
    const auto runner = ModelRunner::make(**model, *kernels, pool, options);
    ASSERT_TRUE(runner.ok());
    EXPECT_EQ((*runner)->binder()->packed_bytes(), 0U);
    ++tables;
  }
  EXPECT_GE(files(folder.path(), ".weights").size(), 1U);
  EXPECT_LE(files(folder.path(), ".weights").size(), tables);
}

TEST(PackedCache, AFolderThatCannotBeMadeIsDoneWithout) {
  const TemporaryFolder folder;
  folder.write("file", "x");
  Start start(kModel, {.folder = folder.path() / "file" / "below"});
  EXPECT_GT(start.packed_bytes(), 0U);
  EXPECT_EQ(start.logits(), expected_logits());
}

TEST(PackedCache, AFullDiskIsDoneWithout) {
  const TemporaryFolder folder;
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Start start(kModel, {.folder = folder.path()});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, previous);
  EXPECT_GT(start.packed_bytes(), 0U);
  EXPECT_EQ(start.logits(), expected_logits());
  EXPECT_TRUE(files(folder.path(), ".weights").empty());
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().extension(), ".source") << entry.path();
  }
}

TEST(PackedCache, WhatWasNotUsedForLongestMakesRoom) {
  const TemporaryFolder folder;
  Start(kModel, {.folder = folder.path()});
  const fs::path used = files(folder.path(), ".weights").at(0);
  const uint64_t bytes = fs::file_size(used);
  const auto now = fs::file_time_type::clock::now();
  for (const auto& [name, age] : {std::pair("old.weights", 50), std::pair("older.weights", 90)}) {
    overwrite(folder.path() / name, std::string(bytes, 'x'));
    fs::last_write_time(folder.path() / name, now - std::chrono::hours(age));
  }
  overwrite(folder.path() / "x.weights.part-abcdef", "left by a crash");
  fs::last_write_time(folder.path() / "x.weights.part-abcdef", now - std::chrono::hours(2));
  overwrite(folder.path() / "y.weights.part-abcdef", "being written");
  overwrite(used, "damaged");
  Start(kModel, {.folder = folder.path(), .max_bytes = 2 * bytes + 10});
  EXPECT_FALSE(fs::exists(folder.path() / "older.weights"));
  EXPECT_TRUE(fs::exists(folder.path() / "old.weights"));
  EXPECT_FALSE(fs::exists(folder.path() / "x.weights.part-abcdef"));
  EXPECT_TRUE(fs::exists(folder.path() / "y.weights.part-abcdef"));
  EXPECT_EQ(fs::file_size(used), bytes);

  fs::remove(used);  // and a model that is larger than the limit is not kept
  Start start(kModel, {.folder = folder.path(), .max_bytes = bytes / 2});
  EXPECT_FALSE(fs::exists(used));
  EXPECT_GT(start.packed_bytes(), 0U);
}

TEST(PackedCache, SeveralStartsAtOnceShareOneFile) {
  const TemporaryFolder folder;
  std::vector<std::vector<float>> logits(4);
  {
    std::vector<std::jthread> starts;
    for (std::vector<float>& out : logits) {
      starts.emplace_back([&] {
        Start start(kModel, {.folder = folder.path()});
        EXPECT_EQ(start.packed_bytes(), 0U);
        out = start.logits();
      });
    }
  }
  for (const std::vector<float>& one : logits) EXPECT_EQ(one, expected_logits());
  EXPECT_EQ(files(folder.path(), ".weights").size(), 1U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 2);
}

}  // namespace
}  // namespace strata
