// Clients and a machine in simulated time around the real step loop: what a scheduling policy does to waiting times and
// gaps, in milliseconds of test time and without a model.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <vector>

#include "engine/random_requests.h"
#include "engine/step_cost.h"
#include "engine/step_loop.h"

namespace strata {

// What steps cost on the simulated machine.
struct MachineCost {
  double base_s = 0.014;
  double decode_s = 0.0008;
  double prefill_s = 0.0014;
  double decode_1k_s = 0.0003;   // per 1024 positions that are attended to
  double prefill_1k_s = 0.0004;
  double noise = 0.03;           // uniform, of the whole
};

// Takes the time that a step costs and gives the same logits for every row.
class SimulatedRunner final : public Runner {
 public:
  SimulatedRunner(const RunnerLimits& limits, const MachineCost& machine, FakeClock& clock)
      : cost(machine), limits_(limits), clock_(clock) {}
  const RunnerLimits& limits() const override { return limits_; }
  Result<std::span<const float>> run(const Batch& batch) override {
    StepLoad load;
    for (size_t s = 0; s < batch.context_len.size(); ++s) {
      const int count = batch.query_begin[s + 1] - batch.query_begin[s];
      load.add(batch.context_len[s] - count, count);
    }
    double seconds = cost.base_s + cost.decode_s * load.decodes + cost.prefill_s * load.prefill_tokens +
                     cost.decode_1k_s * load.decode_positions / 1024 + cost.prefill_1k_s * load.prefill_positions / 1024;
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    seconds *= 1 + cost.noise * (static_cast<double>(state_ >> 11) * 0x1p-52 - 1);
    clock_.advance(Duration(static_cast<int64_t>(seconds * 1e9)));
    tokens += batch.ids.size();
    logits_.assign(batch.output_rows.size() * static_cast<size_t>(limits_.vocab), 0);
    return std::span<const float>(logits_);
  }
  void copy_block(int, int) override {}
  void clear_block(int) override {}

  MachineCost cost;
  uint64_t tokens = 0;

 private:
  const RunnerLimits limits_;
  FakeClock& clock_;
  std::vector<float> logits_;
  uint64_t state_ = 1;
};

struct SimulatedRequest {
  double at_s = 0;  // of arrival
  std::vector<TokenId> prompt;
  int max_tokens = 64;
  int priority = 0;

  // Heard back, in seconds.
  double first_s = -1, end_s = -1, longest_gap_s = 0, last_s = -1;
  std::vector<double> gaps_s;
  bool refused = false;
  double ttft() const { return first_s - at_s; }
  double total() const { return end_s - at_s; }
};

class SimulatedLoad {
 public:
  explicit SimulatedLoad(const EngineOptions& options = {}, const MachineCost& cost = {})
      : admission_(options.admission) {
    RunnerLimits limits;
    limits.vocab = FakeTokenizer::kVocab;
    limits.max_context = 4096;
    limits.max_batch_tokens = 512;
    limits.max_sequences = 256;
    limits.max_outputs = 256;
    limits.n_blocks = 2800;
    limits.block_tokens = 16;
    runner = std::make_unique<SimulatedRunner>(limits, cost, clock_);
    loop = std::make_unique<StepLoop>(*runner, tokenizer_, options, clock_, counters, nullptr, nullptr);
  }

  // Arrives at `at_s`; `after` runs at its last event.
  SimulatedRequest& add(double at_s, int prompt_tokens, int max_tokens, int shared_tokens = 0,
                        std::function<void(double)> after = {}) {
    auto owned = std::make_unique<SimulatedRequest>();
    SimulatedRequest& request = *owned;
    request.at_s = at_s;
    request.max_tokens = max_tokens;
    Dice dice(requests.size());
    for (int i = 0; i < prompt_tokens; ++i) request.prompt.push_back(i < shared_tokens ? 2 + i % 90 : dice.token());
    requests.push_back(std::move(owned));
    afters_.push_back(std::move(after));
    arrivals_.push({at_s, requests.size() - 1});
    return request;
  }
  // `clients` that each wait for their answer before they ask again, `total` requests in all.
  void closed_loop(int clients, int total, int prompt_tokens, int max_tokens, int shared_tokens = 0) {
    left_ = total;
    const auto again = [=, this](auto&& self, double now) -> void {
      if (left_ == 0) return;
      --left_;
      add(now + 0.001, prompt_tokens, max_tokens, shared_tokens, [=, this](double end) { self(self, end); });
    };
    for (int c = 0; c < clients; ++c) again(again, 0.0);
  }

  // Arrivals by chance between two times, `rate` a second, whatever is still running.
  void open_loop(double rate, double begin, double end, int prompt_tokens, int max_tokens) {
    std::mt19937_64 random(1);
    const auto wait = [&] { return -std::log1p(-static_cast<double>(random() >> 11) * 0x1p-53) / rate; };
    for (double at = begin + wait(); at < end; at += wait()) add(at, prompt_tokens, max_tokens);
  }

  double now() const { return to_seconds(clock_.now() - TimePoint{}); }

  void run() {
    for (;;) {
      while (!arrivals_.empty() && arrivals_.top().first <= now()) arrive();
      // Who arrives during a step is decided on by what was known before it.
      known_ = counters.backlog.read();
      inbox_ = {};
      if (loop->step()) continue;
      if (arrivals_.empty()) return;
      const double wait = arrivals_.top().first - now();
      if (wait > 0) clock_.advance(Duration(static_cast<int64_t>(wait * 1e9) + 1));
    }
  }

  std::vector<double> of(double (*value)(const SimulatedRequest&)) const {
    std::vector<double> values;
    for (const auto& request : requests) {
      if (!request->refused) values.push_back(value(*request));
    }
    std::sort(values.begin(), values.end());
    return values;
  }
  double ttft(double share) const {
    return at(of([](const SimulatedRequest& r) { return r.ttft(); }), share);
  }
  double total(double share) const {
    return at(of([](const SimulatedRequest& r) { return r.total(); }), share);
  }
  static double at(const std::vector<double>& sorted, double share) {
    return sorted.empty() ? 0 : sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
  }

  std::vector<std::unique_ptr<SimulatedRequest>> requests;
  EngineCounters counters;
  std::unique_ptr<SimulatedRunner> runner;
  std::unique_ptr<StepLoop> loop;

 private:
  void arrive() {
    const size_t index = arrivals_.top().second;
    arrivals_.pop();
    SimulatedRequest& out = *requests[index];
    const Newcomer newcomer{out.priority, std::ssize(out.prompt)};
    if (decide_admission(admission_, known_, inbox_, newcomer).verdict != Verdict::kAdmitted) {
      out.refused = true;
      return;
    }
    ++inbox_.requests;
    inbox_.tokens += static_cast<int64_t>(out.prompt.size());
    Request request;
    request.prompt = out.prompt;
    request.max_tokens = out.max_tokens;
    request.priority = out.priority;
    request.ignore_eos = true;
    request.sampling.temperature = 0;
    ++counters.live;
    loop->add({index + 1, std::move(request), [this, index](Event&& event) { hear(index, event); },
               TimePoint{} + Duration(static_cast<int64_t>(out.at_s * 1e9))});
  }
  void hear(size_t index, const Event& event) {
    SimulatedRequest& out = *requests[index];
    if (out.first_s < 0) {
      out.first_s = now();
    } else {
      out.gaps_s.push_back(now() - out.last_s);
      out.longest_gap_s = std::max(out.longest_gap_s, out.gaps_s.back());
    }
    out.last_s = now();
    if (!event.last) return;
    out.end_s = now();
    if (afters_[index]) afters_[index](out.end_s);
  }

  const AdmissionOptions admission_;
  Backlog known_;
  Inbox inbox_;
  using Arrival = std::pair<double, size_t>;
  FakeTokenizer tokenizer_;
  FakeClock clock_;
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
  std::vector<std::function<void(double)>> afters_;
  int left_ = 0;
};

}  // namespace strata
