// The engine with its thread: many clients, cancellation, failure, shutdown, idleness.
#include "engine/engine.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/fake_runner.h"
#include "engine/fake_tokenizer.h"
#include "engine/random_requests.h"
#include "engine/step_gate.h"
#include "engine/transcript.h"

namespace strata {
namespace {

constexpr int kMaxLength = 96;

RunnerLimits test_limits() {
  RunnerLimits limits;
  limits.vocab = FakeTokenizer::kVocab;
  limits.max_context = kMaxLength;
  limits.max_batch_tokens = 128;
  limits.max_sequences = 16;
  limits.max_outputs = 16;
  limits.n_blocks = 48;
  limits.block_tokens = 16;
  return limits;
}

// A transcript that a client thread can wait for.
struct Client {
  explicit Client(const Request& request) : transcript(request.n) {}

  EventSink sink() {
    return [this](Event&& event) {
      const std::lock_guard lock(mutex);
      transcript.add(std::move(event));
      changed.notify_all();
    };
  }
  void wait() {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [this] { return transcript.done; }));
  }
  void wait_for_tokens() {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(
        changed.wait_for(lock, std::chrono::seconds(60), [this] { return !transcript.answers[0].tokens.empty(); }));
  }

  std::mutex mutex;
  std::condition_variable changed;
  Transcript transcript;
};

// Holds every step until it is let go.
class GatedRunner final : public Runner {
 public:
  explicit GatedRunner(const RunnerLimits& limits) : runner_(limits) {}
  const RunnerLimits& limits() const override { return runner_.limits(); }
  Result<std::span<const float>> run(const Batch& batch) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
    return runner_.run(batch);
  }
  void copy_block(int from, int to) override { runner_.copy_block(from, to); }
  void clear_block(int block) override { runner_.clear_block(block); }
  bool prepare() override { return ++prepared < preparable; }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

  int preparable = 0;
  std::atomic<int> prepared = 0;

 private:
  FakeRunner runner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class EngineTest : public testing::Test {
 protected:
  std::unique_ptr<Engine> start(const EngineOptions& options = {}, StepGate* gate = nullptr,
                                EngineObserver* observer = nullptr) {
    return std::make_unique<Engine>(std::make_unique<FakeRunner>(test_limits()), tokenizer_, options, steady_clock(),
                                    observer, gate);
  }
  static Request simple(int max_tokens) {
    Request request;
    request.prompt = {5, 6, 7, 20};
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    request.ignore_eos = true;
    return request;
  }
  FakeTokenizer tokenizer_;
};

TEST_F(EngineTest, ClientsInParallelHearWhatTheyWouldAlone) {
  Dice dice(21);
  std::vector<Request> requests;
  for (int i = 0; i < 48; ++i) requests.push_back(random_request(dice, 9, kMaxLength));
  std::vector<std::unique_ptr<Client>> alone;
  {
    EngineOptions options;
    options.prefix_cache = false;
    const auto engine = start(options);
    for (const Request& request : requests) {
      alone.push_back(std::make_unique<Client>(request));
      ASSERT_TRUE(engine->submit(request, alone.back()->sink()).ok());
      alone.back()->wait();
    }
  }
  const auto engine = start();
  std::vector<std::unique_ptr<Client>> clients;
  for (const Request& request : requests) clients.push_back(std::make_unique<Client>(request));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < requests.size(); i += 6) {
        EXPECT_TRUE(engine->submit(requests[i], clients[i]->sink()).ok());
        Client victim(requests[i]);
        const auto handle = engine->submit(requests[i], victim.sink());
        EXPECT_TRUE(handle.ok());
        engine->cancel(*handle);
        victim.wait();
        EXPECT_GE(engine->stats().running, 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < requests.size(); ++i) {
    clients[i]->wait();
    expect_same(alone[i]->transcript, clients[i]->transcript, "request " + std::to_string(i));
  }
  // The last event is heard a moment before the loop has put its books in order.
  for (int i = 0; i < 5000 && (!engine->idle() || engine->stats().running > 0); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(engine->idle());
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.waiting, 0);
  EXPECT_EQ(stats.cache_usage, 0);
  EXPECT_GT(stats.prefix_hits, 0u);
}

TEST_F(EngineTest, RefusesWhatCannotBeServed) {
  const auto engine = start();
  EXPECT_EQ(engine->max_request_tokens(), 96);
  Request request = simple(93);
  const auto refused = engine->submit(request, [](Event&&) { FAIL(); });
  EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
  EXPECT_NE(refused.status().message().find("96"), std::string::npos);
  EXPECT_NE(refused.status().message().find("93"), std::string::npos);
  engine->drain();
  EXPECT_EQ(engine->submit(simple(1), [](Event&&) { FAIL(); }).status().code(), Code::kUnavailable);
}

TEST_F(EngineTest, AFullQueueRefusesAndDestructionEndsEverything) {
  auto runner = std::make_unique<GatedRunner>(test_limits());
  GatedRunner& gated = *runner;
  EngineOptions options;
  options.admission.max_waiting = 3;
  auto engine = std::make_unique<Engine>(std::move(runner), tokenizer_, options, steady_clock());
  std::vector<std::unique_ptr<Client>> clients;
  Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) {
    auto client = std::make_unique<Client>(simple(50));
    const auto handle = engine->submit(simple(50), client->sink());
    refused = handle.status();
    if (handle.ok()) clients.push_back(std::move(client));
  }
  EXPECT_EQ(refused.code(), Code::kExhausted);
  EXPECT_GE(clients.size(), 3u);
  gated.open();
  engine.reset();
  for (const auto& client : clients) {
    ASSERT_TRUE(client->transcript.done);
    const FinishReason finish = client->transcript.answers[0].finish;
    EXPECT_TRUE(finish == FinishReason::kCancelled || finish == FinishReason::kLength);
  }
}

TEST_F(EngineTest, SinksMayCancelTheirOwnRequest) {
  const auto engine = start();
  Client client(simple(90));
  std::atomic<Engine::RequestHandle> handle{0};
  const auto inner = client.sink();
  const auto submitted = engine->submit(simple(90), [&](Event&& event) {
    inner(std::move(event));
    if (handle != 0) engine->cancel(handle);
  });
  handle = *submitted;
  client.wait();
  EXPECT_TRUE(client.transcript.done);
}

TEST_F(EngineTest, SinksAreDestroyedAfterTheLastEvent) {
  const auto engine = start();
  auto owned = std::make_shared<int>(0);
  Client client(simple(3));
  ASSERT_TRUE(
      engine->submit(simple(3), [owned, inner = client.sink()](Event&& event) { inner(std::move(event)); }).ok());
  client.wait();
  for (int i = 0; i < 1000 && owned.use_count() > 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(owned.use_count(), 1);
}

class CountingObserver final : public EngineObserver {
 public:
  void on_first_token(double seconds) override { first += seconds >= 0; }
  void on_inter_token(double) override { ++inter; }
  void on_queue_time(double) override { ++queued; }
  void on_finished(double, FinishReason, const Usage& usage) override { completion_tokens += usage.completion_tokens; }
  std::atomic<int> first{0}, inter{0}, queued{0}, completion_tokens{0};
};

TEST_F(EngineTest, TheObserverHearsEachRequest) {
  CountingObserver observer;
  {
    const auto engine = start({}, nullptr, &observer);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 5; ++i) {
      clients.push_back(std::make_unique<Client>(simple(4)));
      ASSERT_TRUE(engine->submit(simple(4), clients.back()->sink()).ok());
    }
    for (const auto& client : clients) client->wait();
    EXPECT_EQ(engine->stats().generation_tokens, 20u);
    EXPECT_EQ(engine->stats().prompt_tokens, 20u);
    // A step counts when it is over, a moment after its events.
    for (int i = 0; i < 1000 && engine->stats().steps < 4; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_GT(engine->stats().steps, 3u);
  }
  EXPECT_EQ(observer.first, 5);
  EXPECT_EQ(observer.inter, 15);
  EXPECT_EQ(observer.queued, 5);
  EXPECT_EQ(observer.completion_tokens, 20);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST_F(EngineTest, IdleMeansAsleep) {
  const auto engine = start();
  Client client(simple(4));
  ASSERT_TRUE(engine->submit(simple(4), client.sink()).ok());
  client.wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(cpu_seconds() - before, 0.003);
}

TEST_F(EngineTest, PreparesWhileIdleAndServesWhoComesMeanwhile) {
  auto runner = std::make_unique<GatedRunner>(test_limits());
  runner->preparable = 1 << 30;
  runner->open();
  std::atomic<int>& prepared = runner->prepared;
  Engine engine(std::move(runner), tokenizer_, {}, steady_clock());
  while (prepared < 10) std::this_thread::yield();
  Client client(simple(4));
  ASSERT_TRUE(engine.submit(simple(4), client.sink()).ok());
  client.wait();
  EXPECT_EQ(client.transcript.answers[0].tokens.size(), 4u);
  const int before = prepared;
  while (prepared == before) std::this_thread::yield();
}

TEST_F(EngineTest, TwoEnginesTakeTurnsAtOneGate) {
  StepGate gate(steady_clock());
  const auto first = start({}, &gate);
  const auto second = start({}, &gate);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>(simple(40)));
    ASSERT_TRUE((i % 2 == 0 ? first : second)->submit(simple(40), clients.back()->sink()).ok());
  }
  for (const auto& client : clients) {
    client->wait();
    EXPECT_EQ(client->transcript.answers[0].tokens, clients[0]->transcript.answers[0].tokens);
  }
}

}  // namespace
}  // namespace strata
