// What each type of weights and of the cache costs: the mean divergence of the bundled model's probabilities from the
// same weights dequantized to fp32 with a cache of fp32, over a text it was not trained to know by heart. The bounds
// are about one and a half times what was measured.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "engine/divergence.h"
#include "engine/model_runner.h"
#include "model/format/quantize.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

constexpr char kText[] =
    "There was once a miller who lived beside a slow green river, and he had three sons and a grey cat. When he grew "
    "old "
    "he called them together and said, \"My children, I have little to give you, but the mill shall belong to the "
    "eldest, "
    "the ass to the second, and the cat to the youngest.\" The youngest went out into the wide world with his cat, and "
    "on "
    "the evening of the third day they came to a dark forest, in which there stood a house with one lighted window. He "
    "knocked, and an old woman with red eyes opened the door. \"Good evening, mother,\" said he, \"will you give me a "
    "bed "
    "for the night?\" \"That I will,\" she answered, \"if you bring me the golden ring that lies at the bottom of the "
    "well "
    "behind the house.\" Then the cat laughed and said, \"Let me down in the bucket, master, and do not pull before I "
    "call.\" "
    "So he let the cat down, deeper and deeper, until the rope was at its end, and he waited a long while, and heard "
    "nothing "
    "but the wind in the fir-trees. At last a small voice cried, \"Pull!\" and when the bucket came up the cat sat in "
    "it with "
    "the ring in her mouth, and beside her sat a king's daughter, who had been under the water for seven years.";

std::vector<int32_t> ids_of(const Model& model) {
  std::vector<int32_t> ids{*model.tokenizer()->bos()};
  for (const TokenId id : model.tokenizer()->encode(kText, {false, false})) ids.push_back(id);
  return ids;
}

// The logits of all positions, computed in one step.
std::vector<float> logits_of(const Model& model, DType cache_type) {
  ThreadPool pool(2);
  RunnerOptions options;
  options.cache_type = cache_type;
  options.max_outputs = 512;
  auto runner = ModelRunner::make(model, *find_cpu_kernels(), pool, options);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  const std::vector<int32_t> ids = ids_of(model);
  const auto n = static_cast<int64_t>(ids.size()), n_blocks = (n + kBlockTokens - 1) / kBlockTokens;
  for (int64_t block = 0; block < n_blocks; ++block) (*runner)->clear_block(static_cast<int32_t>(block));
  test::BatchBuilder whole(n_blocks);
  whole.add(ids, {0, 0, n, n});
  const auto logits = (*runner)->run(whole.batch());
  EXPECT_TRUE(logits.ok());
  return {logits->begin(), logits->end()};
}

double mean_divergence(const std::vector<float>& reference, const std::vector<float>& logits, size_t vocab) {
  double sum = 0;
  for (size_t at = 0; at < reference.size(); at += vocab) {
    sum += divergence(std::span(reference).subspan(at, vocab), std::span(logits).subspan(at, vocab));
  }
  return sum / static_cast<double>(reference.size() / vocab);
}

// A quantized file, removed at the end.
class TemporaryModel {
 public:
  TemporaryModel(const std::filesystem::path& from, const std::string& type)
      : path_(std::filesystem::temp_directory_path() /
              ("strata-divergence-" + type + "-" + std::to_string(::getpid()) + ".gguf")) {
    ThreadPool pool(2);
    const auto written = quantize_file(from, path_, type, pool);
    EXPECT_TRUE(written.ok()) << written.status().message();
  }
  ~TemporaryModel() { std::filesystem::remove(path_); }
  TemporaryModel(const TemporaryModel&) = delete;
  TemporaryModel& operator=(const TemporaryModel&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::unique_ptr<Model> load(const std::filesystem::path& path) {
  auto model = Model::load(path);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return std::move(*model);
}

const std::filesystem::path bundled = test::source_dir() / "models/strata-tales.gguf";

TEST(Divergence, IsThatOfTwoDistributions) {
  const std::vector<float> even{0, 0}, odd{std::log(3.0F), 0};
  EXPECT_DOUBLE_EQ(divergence(even, even), 0);
  EXPECT_NEAR(divergence(even, odd), 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25), 1e-7);
  EXPECT_NEAR(divergence(odd, even), 0.75 * std::log(0.75 / 0.5) + 0.25 * std::log(0.25 / 0.5), 1e-7);
}

TEST(Overlap, IsWhatTwoDistributionsShare) {
  const std::vector<float> even{0, 0}, odd{std::log(3.0F), 0}, far{0, 60};
  EXPECT_DOUBLE_EQ(overlap(even, even), 1);
  EXPECT_NEAR(overlap(even, odd), 0.5 + 0.25, 1e-7);
  EXPECT_NEAR(overlap(odd, even), 0.25 + 0.5, 1e-7);
  EXPECT_NEAR(overlap(odd, far), 0.25, 1e-7);
}

TEST(Divergence, OfEachCacheTypeStaysWithinItsBound) {
  const TemporaryModel file(bundled, "F32");
  const auto model = load(file.path());
  const auto vocab = static_cast<size_t>(model->config().vocab);
  const std::vector<float> reference = logits_of(*model, DType::kF32);
  struct Bound {
    DType type;
    double most;
  };
  for (const Bound& bound : {Bound{DType::kF16, 1e-6}, Bound{DType::kBF16, 4.5e-6}, Bound{DType::kQ8_0, 3.6e-5},
                             Bound{DType::kQ4_0, 9.5e-3}}) {
    const double mean = mean_divergence(reference, logits_of(*model, bound.type), vocab);
    RecordProperty(std::string(name(bound.type)), fmt::format("{:.3g}", mean));
    EXPECT_LT(mean, bound.most) << name(bound.type);
    EXPECT_GT(mean, 0) << name(bound.type);
  }
}

TEST(Divergence, OfEachWeightTypeStaysWithinItsBound) {
  struct Bound {
    const char* type;
    double most;
  };
  for (const Bound& bound :
       {Bound{"F16", 1e-6}, Bound{"BF16", 1e-5}, Bound{"Q8_0", 5e-4}, Bound{"Q4_0", 6e-4}, Bound{"Q4_K_M", 5.8e-4}}) {
    const TemporaryModel file(bundled, bound.type);
    const TemporaryModel exact(file.path(), "F32");
    const auto model = load(file.path()), reference = load(exact.path());
    const double mean = mean_divergence(logits_of(*reference, DType::kF32), logits_of(*model, DType::kF16),
                                        static_cast<size_t>(model->config().vocab));
    RecordProperty(bound.type, fmt::format("{:.3g}", mean));
    EXPECT_LT(mean, bound.most) << bound.type;
  }
}

}  // namespace
}  // namespace strata
