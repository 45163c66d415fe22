#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "cli/commands.h"
#include "cli/runtime.h"
#include "cli/served_model.h"
#include "engine/step_gate.h"
#include "serve/api/api_server.h"

namespace strata::cli {
namespace {

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
  // Large bodies and answers go back to the system when they are done: without a fixed threshold, the allocator learns
  // from the first to keep them all.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  Metrics metrics;
  api::ApiOptions options;
  options.http.host = settings.host;
  options.http.port = settings.port;
  if (!settings.api_key.empty()) options.api_keys = {settings.api_key};
  ASSIGN_OR_RETURN(const std::vector<WorkerPlace> places, compute_places(settings, LogLevel::kInfo));
  ThreadPool pool(places);
  StepGate gate(steady_clock());
  std::vector<std::unique_ptr<ServedModel>> served;  // destroyed after the server that uses them
  api::ApiServer server(options, metrics);
  RETURN_IF_ERROR(server.start());
  log_info(fmt::format("listening at http://{}:{}", settings.host, server.port()));
  for (const std::string& path : arguments) {
    ServeContext context{settings, *kernels, pool, gate, metrics};
    context.names = served.empty() ? settings.served_model_name : "";
    context.takes_adapters = served.empty();
    context.width = served.empty() ? settings.width : 0;
    context.kv_bytes = settings.kv_bytes / arguments.size();
    ASSIGN_OR_RETURN(std::unique_ptr<ServedModel> model, ServedModel::load(context, path));
    served.push_back(std::move(model));
    RETURN_IF_ERROR(server.add_model(served.back()->host()));
  }
  wait_and_drain(signals, server);
  return ok_status();
}

}  // namespace strata::cli
