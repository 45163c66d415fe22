#include "serve/api/server_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace strata::api {
namespace {

const std::vector<double> kDurationBounds = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long total = 0, resident = 0;
  const int found = std::fscanf(file, "%ld %ld", &total, &resident);
  std::fclose(file);
  return found == 2 ? static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

ServerMetrics::ServerMetrics(Metrics& metrics)
    : metrics_(metrics),
      open_connections_(metrics.gauge("strata_http_open_connections", "Client connections.")),
      bytes_in_(metrics.counter("strata_http_received_bytes_total", "Bytes of requests.")),
      bytes_out_(metrics.counter("strata_http_sent_bytes_total", "Bytes of answers.")) {
  readings_.push_back(
      metrics.read_counter("strata_process_cpu_seconds_total", "CPU time of the process.", {}, cpu_seconds));
  readings_.push_back(metrics.read_gauge("strata_process_resident_memory_bytes", "Resident memory of the process.", {},
                                         resident_bytes));
}

void ServerMetrics::on_request(const std::string& route, int status, double seconds, size_t bytes_in,
                               size_t bytes_out) {
  bytes_in_.add(static_cast<double>(bytes_in));
  bytes_out_.add(static_cast<double>(bytes_out));
  const std::lock_guard lock(mutex_);
  auto counter = requests_.find({route, status});
  if (counter == requests_.end()) {
    counter = requests_
                  .emplace(std::pair(route, status),
                           metrics_.counter("strata_http_requests_total", "Requests by route and status.",
                                            {{"route", route}, {"status", std::to_string(status)}}))
                  .first;
  }
  counter->second.add();
  auto duration = durations_.find(route);
  if (duration == durations_.end()) {
    duration = durations_
                   .emplace(route, metrics_.histogram("strata_http_request_duration_seconds",
                                                      "Seconds from a request's first byte to its last answer byte.",
                                                      kDurationBounds, {{"route", route}}))
                   .first;
  }
  duration->second.observe(seconds);
}

}  // namespace strata::api
