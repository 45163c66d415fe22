#include "serve/api/embedding_metrics.h"

namespace strata::api {
namespace {

const std::vector<double> kBounds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 480};

MetricLabels with(MetricLabels labels, const std::string& name, const std::string& value) {
  labels[name] = value;
  return labels;
}

std::string named(bool alone, const char* vllm, const char* own) {
  return alone ? std::string("vllm:") + vllm : std::string("strata_embedding_") + own;
}

Counter ended(Metrics& metrics, bool alone, const MetricLabels& labels, const char* reason) {
  return metrics.counter(named(alone, "request_success_total", "requests_total"), "Requests by how they ended.",
                         with(labels, "finished_reason", reason));
}

}  // namespace

EmbeddingMetrics::EmbeddingMetrics(Metrics& metrics, std::string model_name, bool alone)
    : metrics_(metrics),
      labels_({{"model_name", std::move(model_name)}}),
      alone_(alone),
      queue_time_(metrics.histogram(named(alone, "request_queue_time_seconds", "queue_time_seconds"),
                                    "Seconds from submission to the first step.", kBounds, labels_)),
      latency_(metrics.histogram(named(alone, "e2e_request_latency_seconds", "latency_seconds"),
                                 "Seconds from submission to the last row.", kBounds, labels_)),
      finished_(ended(metrics, alone, labels_, "stop")),
      cancelled_(ended(metrics, alone, labels_, "abort")),
      failed_(ended(metrics, alone, labels_, "error")) {}

void EmbeddingMetrics::on_finished(double seconds, const Status& status) {
  latency_.observe(seconds);
  (status.ok() ? finished_ : status.code() == Code::kCancelled ? cancelled_ : failed_).add();
}

void EmbeddingMetrics::attach(const EmbeddingEngine& engine) {
  const auto gauge = [&](const std::string& name, const char* help, auto member) {
    readings_.push_back(metrics_.read_gauge(name, help, labels_,
                                            [&engine, member] { return static_cast<double>(engine.stats().*member); }));
  };
  const auto counter = [&](const std::string& name, const char* help, auto member) {
    readings_.push_back(metrics_.read_counter(
        name, help, labels_, [&engine, member] { return static_cast<double>(engine.stats().*member); }));
  };
  gauge(named(alone_, "num_requests_running", "requests_running"), "Requests being computed.",
        &EmbeddingStats::running);
  gauge(named(alone_, "num_requests_waiting", "requests_waiting"), "Requests waiting to be computed.",
        &EmbeddingStats::waiting);
  counter(named(alone_, "prompt_tokens_total", "tokens_total"), "Tokens of texts processed.", &EmbeddingStats::tokens);
  counter("strata_embedding_texts_total", "Texts embedded and pairs scored.", &EmbeddingStats::texts);
  counter("strata_embedding_steps_total", "Steps of the embedding engine.", &EmbeddingStats::steps);
}

}  // namespace strata::api
