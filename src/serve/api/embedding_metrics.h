// The metrics of one embedding engine. Made before the engine, as its observer; attach() then adds what is read from
// the engine at scrape time. A model that only embeds or ranks has vLLM's names for its requests and tokens; one that
// generates has them from its other engine, and those of its texts under strata_embedding_* alone.
#pragma once

#include <string>
#include <vector>

#include "base/metrics.h"
#include "engine/embedding_engine.h"

namespace strata::api {

class EmbeddingMetrics final : public EmbeddingObserver {
 public:
  // `metrics` outlives this. `alone`: the model has no other engine.
  EmbeddingMetrics(Metrics& metrics, std::string model_name, bool alone);

  // `engine` outlives this, or detach() comes first.
  void attach(const EmbeddingEngine& engine);
  void detach() { readings_.clear(); }

  void on_queue_time(double seconds) override { queue_time_.observe(seconds); }
  void on_finished(double seconds, const Status& status) override;

 private:
  Metrics& metrics_;
  const MetricLabels labels_;
  const bool alone_;
  Histogram queue_time_;
  Histogram latency_;
  Counter finished_;
  Counter cancelled_;
  Counter failed_;
  std::vector<Metrics::Reading> readings_;
};

}  // namespace strata::api
