// The law of company through everything below HTTP: 64 requests at a time with cache for about 8, on real weights of
// every arithmetic, give the tokens and log-probabilities that each gives alone: in chunks of 1, 16 and 512 tokens, on
// 1 and 2 threads, with a cold and a warm prefix cache.
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "engine/engine.h"
#include "engine/model_runner.h"
#include "model/format/quantize.h"
#include "test_data.h"

namespace strata {
namespace {

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::string text;
  FinishReason finish = FinishReason::kNone;
  bool operator==(const Answer&) const = default;
};

// Collects the answers of requests submitted together and waits for all.
class Collector {
 public:
  explicit Collector(size_t n) : answers_(n), left_(n) {}
  EventSink sink(size_t i) {
    return [this, i](Event&& event) {
      const std::lock_guard lock(mutex_);
      Answer& a = answers_[i];
      a.tokens.insert(a.tokens.end(), event.tokens.begin(), event.tokens.end());
      for (const PositionLogprobs& p : event.logprobs) a.logprobs.push_back(p.chosen.logprob);
      a.text += event.text;
      if (event.finish != FinishReason::kNone) a.finish = event.finish;
      if (event.last && --left_ == 0) done_.notify_all();
    };
  }
  std::vector<Answer> wait() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return left_ == 0; });
    return answers_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  std::vector<Answer> answers_;
  size_t left_;
};

struct Case {
  const char* type;
  const char* isa;  // "best": what the engine takes by itself
  std::string name() const { return std::string(type) + "_" + isa; }
};

class EngineCompany : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::filesystem::path bundled = test::source_dir() / "models/strata-tales.gguf";
    file_ = std::filesystem::temp_directory_path() /
            ("strata-company-" + GetParam().name() + "-" + std::to_string(::getpid()) + ".gguf");
    ThreadPool pool(1);
    const auto written = quantize_file(bundled, file_, GetParam().type, pool);
    ASSERT_TRUE(written.ok()) << written.status().message();
    Result<std::unique_ptr<Model>> model = Model::load(file_);
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = std::move(*model);
  }
  void TearDown() override { std::filesystem::remove(file_); }

  static const CpuKernels* kernels() {
    const std::string isa = GetParam().isa;
    return isa == "best" ? find_cpu_kernels() : find_cpu_kernels(isa);
  }

  std::unique_ptr<Engine> engine(ThreadPool& pool, int chunk, int cached_sequences, bool prefix_cache) {
    RunnerOptions options;
    options.max_batch_tokens = 512;
    const size_t blocks = static_cast<size_t>(cached_sequences) * 10;  // a request needs at most ten
    options.kv_bytes = blocks * block_bytes_;
    Result<std::unique_ptr<ModelRunner>> runner = ModelRunner::make(*model_, *kernels(), pool, options);
    EXPECT_TRUE(runner.ok()) << runner.status().message();
    EngineOptions engine;
    engine.prefill_chunk = chunk;
    engine.prefix_cache = prefix_cache;
    return std::make_unique<Engine>(std::move(*runner), *model_->tokenizer(), engine, steady_clock());
  }

  // 64 requests: shared and own prefixes, greedy and sampled.
  std::vector<Request> requests() const {
    std::vector<Request> all;
    for (int i = 0; i < 64; ++i) {
      std::string prompt =
          i % 2 == 0
              ? "Once upon a time there was a king who had three daughters, and the youngest was so beautiful that "
              : "In the forest ";
      for (int word = 0; word < i; ++word)
        prompt += word % 3 == 0 ? "the old " : word % 3 == 1 ? "king went " : "away and ";
      Request request;
      request.id = std::to_string(i);
      request.prompt = model_->tokenizer()->encode(prompt);
      request.sampling.temperature = i % 4 == 0 ? 0.0F : 0.9F;
      request.sampling.seed = static_cast<uint64_t>(i);
      request.max_tokens = 8 + i % 9;
      request.logprobs = 0;
      request.ignore_eos = true;
      all.push_back(std::move(request));
    }
    return all;
  }

  static std::vector<Answer> run(Engine& engine, const std::vector<Request>& requests) {
    Collector collector(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto handle = engine.submit(requests[i], collector.sink(i));
      EXPECT_TRUE(handle.ok()) << handle.status().message();
    }
    return collector.wait();
  }

  size_t block_bytes_ = 6 * (4 * 32 * 2) * 16 * 2;  // layers x (heads x dim x (k, v)) x tokens x F16
  std::filesystem::path file_;
  std::unique_ptr<Model> model_;
};

TEST_P(EngineCompany, SixtyFourStreamsEqualThemselvesAlone) {
  if (kernels() == nullptr) GTEST_SKIP() << "this processor has no " << GetParam().isa;
  const std::vector<Request> all = requests();
  std::vector<Answer> alone;
  {
    ThreadPool pool(1);
    const auto quiet = engine(pool, 0, 8, false);
    for (const Request& request : all) alone.push_back(run(*quiet, {request})[0]);
  }
  for (const Answer& a : alone) ASSERT_EQ(a.finish, FinishReason::kLength);
  uint64_t preemptions = 0;
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    for (const int chunk : {1, 16, 512}) {
      const auto busy = engine(pool, chunk, 8, true);
      for (const char* prefix : {"cold", "warm"}) {
        const std::vector<Answer> together = run(*busy, all);
        for (size_t i = 0; i < all.size(); ++i) {
          EXPECT_EQ(together[i].tokens, alone[i].tokens)
              << "request " << i << ", chunk " << chunk << ", " << threads << " threads, " << prefix;
          EXPECT_TRUE(together[i] == alone[i])
              << "request " << i << ", chunk " << chunk << ", " << threads << " threads, " << prefix;
        }
      }
      preemptions += busy->stats().preemptions;
      EXPECT_GT(busy->stats().prefix_hits, 0U);
    }
  }
  RecordProperty("preemptions", std::to_string(preemptions));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q2_K", "Q3_K_M", "Q4_K", "Q5_K",
                           "Q6_K", "IQ4_XS", "MXFP4"}) {
    all.push_back({type, "best"});
  }
  for (const char* type : {"BF16", "Q8_0", "Q4_K"}) all.push_back({type, "avx2"});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Weights, EngineCompany, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name(); });

}  // namespace
}  // namespace strata
