// The metrics of the HTTP server and of the process. Internal to serve/api.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "serve/http/server.h"

namespace strata::api {

class ServerMetrics final : public http::Observer {
 public:
  explicit ServerMetrics(Metrics& metrics);  // `metrics` outlives this

  void on_connection_opened() override { open_connections_.add(1); }
  void on_connection_closed() override { open_connections_.add(-1); }
  void on_request(const std::string& route, int status, double seconds, size_t bytes_in, size_t bytes_out) override;

 private:
  Metrics& metrics_;
  Gauge open_connections_;
  Counter bytes_in_;
  Counter bytes_out_;
  std::mutex mutex_;
  std::map<std::pair<std::string, int>, Counter> requests_;  // guarded by mutex_; routes and statuses are few
  std::map<std::string, Histogram> durations_;               // guarded by mutex_
  std::vector<Metrics::Reading> readings_;
};

}  // namespace strata::api
