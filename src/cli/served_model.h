// One model being served: the files, the engines that compute with them and their metrics.
#pragma once

#include <memory>
#include <string>

#include "base/metrics.h"
#include "base/thread_pool.h"
#include "cli/settings.h"
#include "compute/kernels/cpu_kernels.h"
#include "engine/embedding_engine.h"
#include "engine/engine.h"
#include "engine/model_runner.h"
#include "engine/step_gate.h"
#include "model/model.h"
#include "serve/api/embedding_metrics.h"
#include "serve/api/engine_metrics.h"
#include "serve/api/model_host.h"

namespace strata::cli {

// What the models of a process share; all of it outlives them.
struct ServeContext {
  const Settings& settings;
  const CpuKernels& kernels;
  ThreadPool& pool;
  StepGate& gate;
  Metrics& metrics;
  std::string names = {};  // separated by commas; empty: the file's name
  size_t kv_bytes = 0;
  bool takes_adapters = true;  // --adapter is for the first model
  int64_t width = 0;           // and so is --width
};

class ServedModel {
 public:
  // A generating model gets both engines, which share its packed weights; an encoder the embedding engine alone.
  static Result<std::unique_ptr<ServedModel>> load(const ServeContext& context, const std::string& path);
  ~ServedModel();

  api::ModelHost host() const;

 private:
  ServedModel() = default;
  Status start_engine(const ServeContext& context, std::shared_ptr<WeightBinder>& binder);
  Status start_embedding_engine(const ServeContext& context, std::shared_ptr<WeightBinder> binder);

  Status load_adapters(const ServeContext& context, const ModelRunner& runner);

  std::vector<std::string> names_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<api::EngineMetrics> metrics_;  // the engine's observer
  std::unique_ptr<Engine> engine_;               // null: the model generates nothing
  std::unique_ptr<api::EmbeddingMetrics> embedding_metrics_;
  AdapterPlaces adapter_places_;
  std::vector<api::NamedAdapter> adapters_;
  size_t max_adapters_ = 0;  // above 0: clients may load some
  std::unique_ptr<EmbeddingEngine> embedding_engine_;  // null: the model has no hidden states to give
};

}  // namespace strata::cli
