// The metrics of one engine, under vLLM's names and the label model_name. Made before the engine, as its observer;
// attach() then adds what is read from the engine at scrape time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "engine/engine.h"

namespace strata::api {

class EngineMetrics final : public EngineObserver {
 public:
  // `metrics` outlives this.
  EngineMetrics(Metrics& metrics, std::string model_name);

  // `engine` outlives this, or detach() comes first.
  void attach(const Engine& engine);
  void detach() { readings_.clear(); }

  void on_first_token(double seconds) override { first_token_.observe(seconds); }
  void on_inter_token(double seconds) override { inter_token_.observe(seconds); }
  void on_queue_time(double seconds) override { queue_time_.observe(seconds); }
  void on_finished(double seconds, FinishReason reason, const Usage& usage) override;

 private:
  Metrics& metrics_;
  const MetricLabels labels_;
  Histogram first_token_;
  Histogram inter_token_;
  Histogram queue_time_;
  Histogram latency_;
  std::map<FinishReason, Counter> finished_;
  void attach(const ExpertLoad& load);
  std::vector<Metrics::Reading> readings_;
};

}  // namespace strata::api
