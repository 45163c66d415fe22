#include "serve/api/engine_metrics.h"

#include "engine/expert_load.h"

namespace strata::api {
namespace {

const std::vector<double> kFirstTokenBounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,
                                               0.75,  1,     2.5,  5,    7.5,  10,   20,   40,  80};
const std::vector<double> kInterTokenBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                               0.15,   0.2,   0.3,    0.4,   0.5,  0.75,  1,    2.5};
const std::vector<double> kLatencyBounds = {0.005, 0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,  1.5, 2,   2.5,
                                            5,     10,   15,   20,  30,  40,  50,  60, 120, 240, 480};

constexpr std::pair<FinishReason, const char*> kReasons[] = {{FinishReason::kStop, "stop"},
                                                             {FinishReason::kLength, "length"},
                                                             {FinishReason::kCancelled, "abort"},
                                                             {FinishReason::kError, "error"}};

MetricLabels with(MetricLabels labels, const std::string& name, const std::string& value) {
  labels[name] = value;
  return labels;
}

}  // namespace

EngineMetrics::EngineMetrics(Metrics& metrics, std::string model_name)
    : metrics_(metrics),
      labels_({{"model_name", std::move(model_name)}}),
      first_token_(metrics.histogram("vllm:time_to_first_token_seconds", "Seconds from submission to the first token.",
                                     kFirstTokenBounds, labels_)),
      inter_token_(metrics.histogram("vllm:inter_token_latency_seconds", "Seconds between two tokens of a choice.",
                                     kInterTokenBounds, labels_)),
      queue_time_(metrics.histogram("vllm:request_queue_time_seconds", "Seconds from submission to the first step.",
                                    kLatencyBounds, labels_)),
      latency_(metrics.histogram("vllm:e2e_request_latency_seconds", "Seconds from submission to the last token.",
                                 kLatencyBounds, labels_)) {
  for (const auto& [reason, name] : kReasons) {
    finished_.emplace(reason, metrics.counter("vllm:request_success_total", "Requests by how they ended.",
                                              with(labels_, "finished_reason", name)));
  }
}

void EngineMetrics::on_finished(double seconds, FinishReason reason, const Usage&) {
  latency_.observe(seconds);
  const auto found = finished_.find(reason);
  if (found != finished_.end()) found->second.add();
}

void EngineMetrics::attach(const Engine& engine) {
  const auto gauge = [&](const char* name, const char* help, auto member) {
    readings_.push_back(metrics_.read_gauge(name, help, labels_,
                                            [&engine, member] { return static_cast<double>(engine.stats().*member); }));
  };
  const auto counter = [&](const char* name, const char* help, auto member) {
    readings_.push_back(metrics_.read_counter(
        name, help, labels_, [&engine, member] { return static_cast<double>(engine.stats().*member); }));
  };
  gauge("vllm:num_requests_running", "Requests being computed.", &EngineStats::running);
  gauge("vllm:num_requests_waiting", "Requests waiting to be computed.", &EngineStats::waiting);
  gauge("vllm:kv_cache_usage_perc", "Share of the cache blocks in use, 0 to 1.", &EngineStats::cache_usage);
  counter("vllm:prompt_tokens_total", "Prompt tokens processed.", &EngineStats::prompt_tokens);
  counter("vllm:generation_tokens_total", "Tokens generated.", &EngineStats::generation_tokens);
  counter("vllm:num_preemptions_total", "Sequences that lost their blocks for a while.", &EngineStats::preemptions);
  counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
          &EngineStats::prefix_queries);
  counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.", &EngineStats::prefix_hits);
  counter("strata_engine_steps_total", "Steps of the engine loop.", &EngineStats::steps);
  const auto shed = [&](const char* reason, auto member) {
    readings_.push_back(metrics_.read_counter(
        "strata_requests_shed_total", "Requests refused with 429, by reason.", with(labels_, "reason", reason),
        [&engine, member] { return static_cast<double>(engine.stats().*member); }));
  };
  shed("queue_full", &EngineStats::shed_full);
  shed("queue_slow", &EngineStats::shed_slow);
  if (engine.expert_load() != nullptr) attach(*engine.expert_load());
}

void EngineMetrics::attach(const ExpertLoad& load) {
  readings_.push_back(metrics_.read_counter("strata_expert_tokens_total", "Tokens given to experts, in all layers.",
                                            labels_, [&load] { return static_cast<double>(load.tokens()); }));
  for (int layer = 0; layer < load.n_layers(); ++layer) {
    readings_.push_back(metrics_.read_gauge(
        "strata_expert_imbalance",
        "Tokens of the busiest expert over the mean, since the start; layers with experts count from 0.",
        with(labels_, "layer", std::to_string(layer)), [&load, layer] { return load.imbalance(layer); }));
  }
}

}  // namespace strata::api
