// What commands that compute share: the kernels and threads that the settings ask for, a loaded model with its runner.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/thread_pool.h"
#include "cli/adapters.h"
#include "cli/settings.h"
#include "engine/model_runner.h"
#include "model/model.h"

namespace strata::cli {

Result<const CpuKernels*> choose_kernels(const Settings& settings);
// Where the compute threads are; the log says it (for people who look: at level debug unless they serve).
Result<std::vector<WorkerPlace>> compute_places(const Settings& settings, LogLevel level = LogLevel::kDebug);
// Of the cache of a model; `auto` is what suits it.
Result<DType> cache_type(const Settings& settings, const Graph& graph, const CpuKernels& kernels);
PackedCacheOptions packed_cache_options(const Settings& settings);
Result<RunnerOptions> runner_options(const Settings& settings, const Graph& graph, const CpuKernels& kernels);

// Members are destroyed in the reverse order: the runner uses the others.
struct LoadedModel {
  const CpuKernels* kernels = nullptr;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Model> model;
  std::unique_ptr<ModelRunner> runner;
};
// With `adjust` the runner's options can be changed before it is made.
Result<LoadedModel> load_model(const Settings& settings, const std::string& path,
                               void (*adjust)(RunnerOptions&) = nullptr);
Result<LoadedModel> load_model(const Settings& settings, std::unique_ptr<Model> model,
                               void (*adjust)(RunnerOptions&) = nullptr);

// The tokenizer, or the reason why there is none.
Result<const Tokenizer*> require_tokenizer(const Model& model);

std::string read_standard_input();
// "1,2,3" -> ids; kInvalidArgument names the item at fault and `what`.
Result<std::vector<int32_t>> parse_ids(const std::string& text, const std::string& what);

// Runs one sequence from position `begin` through the runner in chunks and gives each chunk's logits rows to `visit`
// (first position of the chunk, logits [rows, vocab]).
Status run_sequence(ModelRunner& runner, const std::vector<int32_t>& ids,
                    const std::function<void(int64_t position, std::span<const float> logits)>& visit,
                    const AdapterRef& adapter = nullptr);

}  // namespace strata::cli
