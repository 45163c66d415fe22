#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "cli/commands.h"
#include "cli/runtime.h"
#include "engine/engine.h"
#include "engine/step_gate.h"
#include "serve/api/api_server.h"

namespace strata::cli {
namespace {

// One model being served; members are destroyed in the reverse order.
struct Served {
  std::unique_ptr<Model> model;
  std::unique_ptr<Engine> engine;
};

// SIGINT and SIGTERM are taken by sigwait on the main thread; blocked before any thread starts, so that all inherit it.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// True when a stop signal came within `limit`.
bool signalled(const sigset_t& signals, std::chrono::milliseconds limit) {
  timespec wait{};
  wait.tv_sec = static_cast<time_t>(limit.count() / 1000);
  wait.tv_nsec = static_cast<long>(limit.count() % 1000) * 1'000'000;
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

api::ModelHost make_host(const Settings& settings, const Served& served, bool first) {
  api::ModelHost host;
  host.names = first && !settings.served_model_name.empty() ? split_names(settings.served_model_name)
                                                            : std::vector<std::string>{};
  if (host.names.empty()) host.names = {served.model->name()};
  host.engine = served.engine.get();
  host.tokenizer = served.model->tokenizer();
  host.chat_template = served.model->chat_template();
  const GenerationDefaults& defaults = served.model->generation();
  host.defaults.temperature = defaults.temperature.value_or(1);
  host.defaults.top_p = defaults.top_p.value_or(1);
  host.defaults.top_k = defaults.top_k.value_or(0);
  host.defaults.min_p = defaults.min_p.value_or(0);
  host.defaults.repetition_penalty = defaults.repetition_penalty.value_or(1);
  host.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return host;
}

Result<Served> load(const Settings& settings, const std::string& path, size_t kv_bytes, const CpuKernels& kernels,
                    ThreadPool& pool, StepGate* gate) {
  const TimePoint start = steady_clock().now();
  Served served;
  ASSIGN_OR_RETURN(RunnerOptions options, runner_options(settings));
  options.kv_bytes = kv_bytes;
  ASSIGN_OR_RETURN(served.model, Model::load(path));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*served.model));
  ASSIGN_OR_RETURN(std::unique_ptr<ModelRunner> runner, ModelRunner::make(*served.model, kernels, pool, options));
  log_info(fmt::format(
      "{}: {} of weights packed, cache for {} tokens in {} MiB, {} kernels, {} threads, ready after {:.2f} s",
      served.model->name(), fmt::format("{} MiB", runner->weight_bytes() >> 20),
      static_cast<int64_t>(runner->limits().n_blocks) * runner->limits().block_tokens, runner->cache_bytes() >> 20,
      kernels.name, pool.n_threads(), to_seconds(steady_clock().now() - start)));
  log_debug(runner->plan().summary());
  EngineOptions engine;
  engine.max_batch_tokens = settings.max_batch_tokens;
  engine.prefill_chunk = settings.prefill_chunk;
  served.engine = std::make_unique<Engine>(std::move(runner), *tokenizer, engine, steady_clock(), nullptr, gate);
  return served;
}

// The first signal drains: no new connections, running requests finish. The second one stops at once.
void wait_and_drain(const sigset_t& signals, api::ApiServer& server) {
  int signal = 0;
  sigwait(&signals, &signal);
  log_info("draining: running requests finish; a second signal stops at once");
  server.drain();
  while (!server.wait_drained(std::chrono::milliseconds(100))) {
    if (signalled(signals, std::chrono::milliseconds(1))) break;
  }
  server.stop();
}

}  // namespace

Status serve_command(const Settings& settings, const Arguments& arguments) {
  const sigset_t signals = block_stop_signals();
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  Metrics metrics;
  api::ApiOptions options;
  options.http.host = settings.host;
  options.http.port = settings.port;
  if (!settings.api_key.empty()) options.api_keys = {settings.api_key};
  ThreadPool pool(thread_count(settings));
  StepGate gate(steady_clock());
  std::vector<Served> served;  // destroyed after the server that uses them
  served.reserve(arguments.size());
  api::ApiServer server(options, metrics);
  RETURN_IF_ERROR(server.start());
  log_info(fmt::format("listening at http://{}:{}", settings.host, server.port()));
  for (const std::string& path : arguments) {
    Result<Served> model = load(settings, path, settings.kv_bytes / arguments.size(), *kernels, pool,
                                arguments.size() > 1 ? &gate : nullptr);
    if (!model.ok()) return model.status();
    served.push_back(std::move(*model));
    RETURN_IF_ERROR(server.add_model(make_host(settings, served.back(), served.size() == 1)));
  }
  wait_and_drain(signals, server);
  return ok_status();
}

}  // namespace strata::cli
