// What the scheduler's policy makes of whole loads, on a simulated machine in simulated time: gaps, waiting times, and
// how much of the machine is used.
#include "engine/simulated_load.h"

#include <cmath>

namespace strata {
namespace {

// Seconds of a lone step with this many decodes.
double decode_seconds(const MachineCost& cost, int sequences) { return cost.base_s + sequences * cost.decode_s; }

struct GapAndWait {
  double usual = 0, longest = 0, ttft = 0;
};

// `streams` run; a prompt of `tokens` comes at a time when nothing else does.
GapAndWait disturb(int streams, int tokens, const EngineOptions& options = {}, const MachineCost& cost = {}) {
  SimulatedLoad load(options, cost);
  for (int i = 0; i < streams; ++i) load.add(0.3 * i, 60, 900);
  const double at = 0.3 * streams + 3;
  const size_t prompt = load.requests.size();
  load.add(at, tokens, 2);
  load.run();
  const double first = load.requests[prompt]->first_s;
  GapAndWait seen;
  std::vector<double> usual;
  for (size_t i = 0; i < prompt; ++i) {
    double end = load.requests[i]->first_s;
    for (const double gap : load.requests[i]->gaps_s) {
      end += gap;
      if (end < at && end > at - 2) usual.push_back(gap);
      if (end > at && end - gap < first) seen.longest = std::max(seen.longest, gap);
    }
  }
  std::sort(usual.begin(), usual.end());
  seen.usual = usual[usual.size() / 2];
  seen.ttft = first - at;
  return seen;
}

double alone_ttft(int tokens, const MachineCost& cost = {}) {
  SimulatedLoad load({}, cost);
  load.add(0, 100, 4);
  const size_t prompt = load.requests.size();
  load.add(3, tokens, 1);
  load.run();
  return load.requests[prompt]->ttft();
}

TEST(SimulatedLoadTest, APromptLeavesStreamsAGapBelowTwiceTheUsualAndIsNotStarved) {
  for (const int streams : {1, 4, 8, 16, 32}) {
    const GapAndWait seen = disturb(streams, 2000);
    EXPECT_LT(seen.longest, 2 * seen.usual) << streams;
    EXPECT_LT(seen.ttft, 2.5 * alone_ttft(2000)) << streams;
  }
}

TEST(SimulatedLoadTest, TheGapHoldsOnASlowerMachineWithDearAttention) {
  MachineCost slow;
  slow.base_s = 0.05;
  slow.decode_s = 0.004;
  slow.prefill_s = 0.006;
  slow.prefill_1k_s = 0.006;
  const GapAndWait seen = disturb(8, 2000, {}, slow);
  EXPECT_LT(seen.longest, 2 * seen.usual);
  EXPECT_LT(seen.ttft, 2.6 * alone_ttft(2000, slow));
}

// Another process takes half of the machine while the prompt is computed: the gap is twice what it is now.
TEST(SimulatedLoadTest, APromptIsNotStarvedWhenTheMachineBecomesSlower) {
  MachineCost slow;
  for (double* cost : {&slow.base_s, &slow.decode_s, &slow.prefill_s, &slow.decode_1k_s, &slow.prefill_1k_s}) *cost *= 2;
  SimulatedLoad load;
  for (int i = 0; i < 8; ++i) load.add(0.3 * i, 60, 900);
  double slow_at = 0;
  load.add(2.4, 60, 170, 0, [&](double now) {
    load.runner->cost = slow;
    slow_at = now;
  });
  const size_t prompt = load.requests.size();
  load.add(5.4, 2000, 2);
  load.run();
  EXPECT_GT(slow_at, 5.5);
  EXPECT_LT(slow_at, 7);
  EXPECT_LT(load.requests[prompt]->ttft(), 2.6 * alone_ttft(2000, slow));
  double longest = 0;
  double heard = load.requests[0]->first_s;
  for (const double gap : load.requests[0]->gaps_s) {
    heard += gap;
    if (heard > slow_at) longest = std::max(longest, gap);
  }
  EXPECT_LT(longest, 2 * decode_seconds(slow, 8));
}

TEST(SimulatedLoadTest, ATargetForTheGapIsKept) {
  EngineOptions options;
  options.target_itl = std::chrono::milliseconds(100);
  const GapAndWait seen = disturb(8, 2000, options);
  EXPECT_LT(seen.longest, 0.106);  // steps are up to three percent slower than the model says
  EXPECT_GT(seen.longest, 0.085);
  EXPECT_LT(seen.ttft, 1.6 * alone_ttft(2000));
  // A target below what the decodes take themselves still lets prompts through.
  options.target_itl = std::chrono::milliseconds(1);
  EXPECT_LT(disturb(8, 500, options).longest, 1.5 * decode_seconds(MachineCost(), 8));
}

TEST(SimulatedLoadTest, AloneAPromptHasTheWholeStep) {
  SimulatedLoad load;
  load.add(0, 100, 4);
  const size_t prompt = load.requests.size();
  load.add(3, 512, 1);
  load.run();
  const MachineCost cost;
  EXPECT_LT(load.requests[prompt]->ttft(), 1.05 * (cost.base_s + 512 * cost.prefill_s + 512 * 0.25 * cost.prefill_1k_s));
}

TEST(SimulatedLoadTest, ClosedLoopsUseTheMachineAndAnswerSoon) {
  const MachineCost cost;
  const double prefill = cost.base_s + 170 * cost.prefill_s;
  for (const int clients : {4, 16, 64}) {
    SimulatedLoad load;
    load.closed_loop(clients, 96, 170, 64);
    load.run();
    const double least = prefill + 64 * decode_seconds(cost, clients) / clients;
    EXPECT_LT(load.now(), 96 * least / 0.9) << clients;
    EXPECT_LT(load.total(0.95), clients * least * 1.5) << clients;
    SimulatedLoad longer;  // most of it after the first wave, in which 64 prompts come at once
    longer.closed_loop(clients, 256, 170, 64);
    longer.run();
    EXPECT_LT(longer.now(), 256 * least / 0.9) << clients;
    EXPECT_LT(longer.ttft(0.5), clients == 64 ? 7 * prefill : 1.4 * prefill) << clients;
  }
}

std::unique_ptr<SimulatedRequest> run_alone() {
  SimulatedLoad single;
  single.add(0, 170, 64);
  single.run();
  return std::move(single.requests[0]);
}

// Ten times what can be answered in time: those who are admitted do not suffer, and the machine is not idle.
TEST(SimulatedLoadTest, WithLimitsOverloadIsRefusedBeforeItHurtsThoseInside) {
  const std::unique_ptr<SimulatedRequest> alone = run_alone();
  EngineOptions options;
  options.target_itl = std::chrono::milliseconds(45);
  options.admission.max_queue = std::chrono::milliseconds(100);
  SimulatedLoad load(options);
  load.add(0, 170, 64);  // the cost of steps is known when the load comes
  load.open_loop(10, 3, 63, 170, 64);
  load.run();
  EXPECT_LT(load.ttft(0.99), 3 * alone->ttft());
  EXPECT_LT(load.total(0.95), 3 * alone->total());
  const auto admitted = static_cast<double>(load.of([](const SimulatedRequest& r) { return r.total(); }).size());
  EXPECT_GT(admitted / load.now(), 1.8 / alone->total());  // almost twice as many as one after the other
}

// What is promised to the admitted is the time to their first token, not only when their prompts begin.
TEST(SimulatedLoadTest, UnderOverloadTheAdmittedHearTheirFirstTokenInTime) {
  const std::unique_ptr<SimulatedRequest> alone = run_alone();
  EngineOptions options;
  options.target_itl = std::chrono::milliseconds(45);
  options.admission.max_ttft = std::chrono::milliseconds(static_cast<int64_t>(2900 * alone->ttft()));
  SimulatedLoad load(options);
  load.add(0, 170, 64);
  load.open_loop(10, 3, 63, 170, 64);
  load.run();
  EXPECT_LT(load.ttft(0.99), 3 * alone->ttft());
  EXPECT_LT(load.total(0.95), 3 * alone->total());
  const auto admitted = static_cast<double>(load.of([](const SimulatedRequest& r) { return r.total(); }).size());
  EXPECT_GT(admitted / load.now(), 1.8 / alone->total());
  // At a rate that can be served those who come together with another one by chance are admitted.
  SimulatedLoad light(options);
  light.add(0, 170, 64);
  light.open_loop(0.5, 3, 123, 170, 64);
  light.run();
  const auto answered = light.of([](const SimulatedRequest& r) { return r.ttft(); });
  EXPECT_GT(answered.size(), 0.9 * static_cast<double>(light.requests.size()));
}

// The first step of a process may be late for any reason; what it seems to say of prompts neither makes a crowd wait nor
// refuses anybody.
TEST(SimulatedLoadTest, OneLateStepDoesNotDelayACrowd) {
  SimulatedLoad load;
  const MachineCost usual;
  load.runner->cost.base_s = 0.5;
  load.add(0, 5, 1, 0, [&](double) {
    load.runner->cost = usual;
    load.closed_loop(16, 96, 170, 64);
  });
  load.run();
  EXPECT_LT(load.ttft(0.5), 1.4 * (usual.base_s + 170 * usual.prefill_s));
}

TEST(SimulatedLoadTest, OneLateStepRefusesNobody) {
  EngineOptions options;
  options.admission.max_queue = std::chrono::seconds(60);
  SimulatedLoad load(options);
  const MachineCost usual;
  load.runner->cost.base_s = 0.5;
  load.add(0, 5, 1, 0, [&](double) { load.runner->cost = usual; });
  for (int i = 0; i < 64; ++i) load.add(1, 170, 4);
  load.run();
  for (const auto& request : load.requests) EXPECT_FALSE(request->refused);
}

TEST(SimulatedLoadTest, PromptsFinishFirstComeFirst) {
  SimulatedLoad load;
  for (int i = 0; i < 6; ++i) load.add(0.001 * i, 900 - 150 * i, 4);
  load.run();
  for (size_t i = 1; i < 6; ++i) EXPECT_GE(load.requests[i]->first_s, load.requests[i - 1]->first_s);
  EXPECT_LT(load.requests[0]->ttft(), 1.2 * alone_ttft(900));
}

TEST(SimulatedLoadTest, ASharedPrefixIsComputedOnce) {
  SimulatedLoad load;
  load.closed_loop(16, 16, 1330, 64, 1296);
  load.run();
  EXPECT_EQ(load.runner->tokens, 1296u + 16 * (34 + 63));
  EXPECT_LT(load.ttft(1), 1.6 * alone_ttft(1296 + 16 * 34));
}

}  // namespace
}  // namespace strata
