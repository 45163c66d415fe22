// The law of company through everything below HTTP: 64 requests at a time with cache for about 8, on real weights of
// every arithmetic and with every type of cache, give the tokens and log-probabilities that each gives alone: in chunks
// of 1, 16 and 512 tokens, on 1 and 2 threads, with a cold and a warm prefix cache.
//
// STRATA_COMPANY_MODEL=FILE.gguf engine_slow_test --gtest_filter='*AFile*' does the same with a model file (the bundled
// one where none is named), with the 16 requests (cache for 2) that suit larger ones, for each type of cache.
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/plan/cache_shape.h"
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
  DType cache = DType::kF16;
  std::string name() const {
    return std::string(type) + "_" + isa + (cache == DType::kF16 ? "" : "_cache_" + std::string(strata::name(cache)));
  }
};

// A model with the requests that are made to it: shared and own prefixes, greedy and sampled.
class Company {
 public:
  Company(std::unique_ptr<Model> model, const CpuKernels& kernels, DType cache_type, int n_requests)
      : model_(std::move(model)), kernels_(kernels), cache_type_(cache_type) {
    for (int i = 0; i < n_requests; ++i) requests_.push_back(request(i, 64 / n_requests));
  }

  void check();
  uint64_t preemptions() const { return preemptions_; }

 private:
  Request request(int i, int stride) const {
    std::string prompt =
        i % 2 == 0
            ? "Once upon a time there was a king who had three daughters, and the youngest was so beautiful that "
            : "In the forest ";
    for (int word = 0; word < i * stride; ++word)
      prompt += word % 3 == 0 ? "the old " : word % 3 == 1 ? "king went " : "away and ";
    Request request;
    request.id = std::to_string(i);
    request.prompt = model_->tokenizer()->encode(prompt);
    request.sampling.temperature = i % 4 == 0 ? 0.0F : 0.9F;
    request.sampling.seed = static_cast<uint64_t>(i);
    request.max_tokens = 8 + i % 9;
    request.logprobs = 0;
    request.ignore_eos = true;
    return request;
  }

  // With cache for an eighth of the requests.
  std::unique_ptr<Engine> engine(ThreadPool& pool, int chunk, bool prefix_cache) const {
    size_t block_bytes = 0, longest = 0;
    const Graph lowered = lower_attention_paged(model_->graph(), cache_type_);
    for (const Node& node : lowered.nodes()) {
      if (node.kind == NodeKind::kState) block_bytes += cache_shape(node).block_bytes();
    }
    for (const Request& r : requests_) longest = std::max(longest, r.prompt.size() + static_cast<size_t>(r.max_tokens));
    RunnerOptions options;
    options.cache_type = cache_type_;
    options.max_batch_tokens = 512;
    options.kv_bytes = requests_.size() / 8 * (longest / kBlockTokens + 1) * block_bytes;
    Result<std::unique_ptr<ModelRunner>> runner = ModelRunner::make(*model_, kernels_, pool, options);
    EXPECT_TRUE(runner.ok()) << runner.status().message();
    EngineOptions engine;
    engine.prefill_chunk = chunk;
    engine.prefix_cache = prefix_cache;
    return std::make_unique<Engine>(std::move(*runner), *model_->tokenizer(), engine, steady_clock());
  }

  static std::vector<Answer> run(Engine& engine, const std::vector<Request>& requests) {
    Collector collector(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      const auto handle = engine.submit(requests[i], collector.sink(i));
      EXPECT_TRUE(handle.ok()) << handle.status().message();
    }
    return collector.wait();
  }

  std::unique_ptr<Model> model_;
  const CpuKernels& kernels_;
  DType cache_type_;
  std::vector<Request> requests_;
  uint64_t preemptions_ = 0;
};

void Company::check() {
  std::vector<Answer> alone;
  {
    ThreadPool pool(1);
    const auto quiet = engine(pool, 0, false);
    for (const Request& request : requests_) alone.push_back(run(*quiet, {request})[0]);
  }
  for (const Answer& a : alone) ASSERT_EQ(a.finish, FinishReason::kLength);
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    for (const int chunk : {1, 16, 512}) {
      const auto busy = engine(pool, chunk, true);
      for (const char* prefix : {"cold", "warm"}) {
        const std::vector<Answer> together = run(*busy, requests_);
        for (size_t i = 0; i < requests_.size(); ++i) {
          EXPECT_EQ(together[i].tokens, alone[i].tokens)
              << "request " << i << ", chunk " << chunk << ", " << threads << " threads, " << prefix;
          EXPECT_TRUE(together[i] == alone[i])
              << "request " << i << ", chunk " << chunk << ", " << threads << " threads, " << prefix;
        }
      }
      preemptions_ += busy->stats().preemptions;
      EXPECT_GT(busy->stats().prefix_hits, 0U);
    }
  }
}

class EngineCompany : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::filesystem::path bundled = test::source_dir() / "models/strata-tales.gguf";
    file_ = std::filesystem::temp_directory_path() /
            ("strata-company-" + GetParam().name() + "-" + std::to_string(::getpid()) + ".gguf");
    ThreadPool pool(1);
    const auto written = quantize_file(bundled, file_, GetParam().type, pool);
    ASSERT_TRUE(written.ok()) << written.status().message();
  }
  void TearDown() override { std::filesystem::remove(file_); }

  std::filesystem::path file_;
};

TEST_P(EngineCompany, SixtyFourStreamsEqualThemselvesAlone) {
  const std::string isa = GetParam().isa;
  const CpuKernels* kernels = isa == "best" ? find_cpu_kernels() : find_cpu_kernels(isa);
  if (kernels == nullptr) GTEST_SKIP() << "this processor has no " << isa;
  Result<std::unique_ptr<Model>> model = Model::load(file_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  Company company(std::move(*model), *kernels, GetParam().cache, 64);
  company.check();
  RecordProperty("preemptions", std::to_string(company.preemptions()));
}

class AFile : public testing::TestWithParam<DType> {};

TEST_P(AFile, StreamsEqualThemselvesAlone) {
  const char* named = std::getenv("STRATA_COMPANY_MODEL");
  Result<std::unique_ptr<Model>> model =
      Model::load(named != nullptr ? std::filesystem::path(named) : test::source_dir() / "models/strata-tales.gguf");
  ASSERT_TRUE(model.ok()) << model.status().message();
  Company company(std::move(*model), *find_cpu_kernels(), GetParam(), 16);
  company.check();
}

INSTANTIATE_TEST_SUITE_P(Cache, AFile, testing::Values(DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0),
                         [](const auto& tested) { return std::string(strata::name(tested.param)); });

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q2_K", "Q3_K_M", "Q4_K", "Q5_K",
                           "Q6_K", "IQ4_XS", "MXFP4"}) {
    all.push_back({type, "best"});
  }
  for (const char* type : {"BF16", "Q8_0", "Q4_K"}) all.push_back({type, "avx2"});
  for (const DType cache : {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_0}) {
    all.push_back({"Q8_0", "best", cache});
  }
  for (const DType cache : {DType::kQ8_0, DType::kQ4_0}) all.push_back({"Q8_0", "avx2", cache});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Weights, EngineCompany, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name(); });

}  // namespace
}  // namespace strata
