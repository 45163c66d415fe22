// How long a loopback client waits for /metrics and /health while compute threads use every core: probe_latency
// [REQUESTS] [COMPUTE_THREADS]. Prints percentiles in microseconds at the client, and what the server itself measured
// from a request's first byte to its last answer byte.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "../../tests/serve/api/scripted_model.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "serve/api/api_server.h"
#include "serve/http/client.h"

namespace {

using namespace strata;

void spin(const std::atomic<bool>& stop) {
  volatile double sum = 0;
  while (!stop) sum = sum * 0.5 + 1;
}

void print(const char* path, std::vector<double> micros) {
  std::sort(micros.begin(), micros.end());
  const auto at = [&micros](double share) {
    return micros[std::min(micros.size() - 1, static_cast<size_t>(share * static_cast<double>(micros.size())))];
  };
  std::printf("%-9s p50 %7.0f us   p90 %7.0f us   p99 %7.0f us   max %7.0f us\n", path, at(0.5), at(0.9), at(0.99),
              micros.back());
}

bool measure(int port, const char* path, int n_requests) {
  http::Client client("127.0.0.1", port);
  std::vector<double> micros;
  for (int i = 0; i < n_requests; ++i) {
    const TimePoint begin = steady_clock().now();
    const auto answer = client.request("GET", path);
    if (!answer.ok() || answer->status != 200) return false;
    micros.push_back(1e6 * to_seconds(steady_clock().now() - begin));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  print(path, std::move(micros));
  return true;
}

void print_server_side(const std::string& metrics) {
  constexpr std::string_view kSeries = "strata_http_request_duration_seconds_bucket{route=\"/metrics\"";
  for (size_t at = metrics.find(kSeries); at != std::string::npos; at = metrics.find(kSeries, at + 1)) {
    std::printf("  %s\n", metrics.substr(at, metrics.find('\n', at) - at).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  set_log_level(LogLevel::kWarning);
  const int n_requests = argc > 1 ? std::atoi(argv[1]) : 2000;
  const int n_compute = argc > 2 ? std::atoi(argv[2]) : default_threads(read_topology(allowed_processors()));
  Metrics metrics;
  test::ScriptedModel model(metrics, "story");
  api::ApiOptions options;
  options.http.port = 0;
  api::ApiServer server(options, metrics);
  if (!server.start().ok() || !server.add_model(model.host).ok()) return 1;
  std::atomic<bool> stop{false};
  bool fine = true;
  {
    std::vector<std::jthread> compute;
    for (int i = 0; i < n_compute; ++i) compute.emplace_back([&stop] { spin(stop); });
    for (const char* path : {"/health", "/metrics"}) fine = measure(server.port(), path, n_requests) && fine;
    stop = true;
  }
  print_server_side(metrics.text());
  server.stop();
  return fine ? 0 : 1;
}
