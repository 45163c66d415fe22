// The inference server: OpenAI's endpoints, predict, tokenize, probes and metrics over one HTTP server, for one or
// several models. Used as: make it, start(), add_model() as models become ready, then drain() and stop().
//
// Any thread may call the functions below. The engines and tokenizers of added models outlive stop().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "serve/api/model_host.h"
#include "serve/http/server.h"

namespace strata::api {

struct ApiOptions {
  http::ServerOptions http;
  std::vector<std::string> api_keys;  // empty: everyone may infer; probes and metrics are always open
  int intake_threads = 2;             // threads that read and tokenize requests
  int max_waiting_intake = 1024;      // requests waiting for them before new ones get 429
};

class ApiServer {
 public:
  // `metrics` outlives the server.
  ApiServer(ApiOptions options, Metrics& metrics);
  ~ApiServer();  // stop()

  Status start();  // listens; /ready says 503 until a model is there
  int port() const;

  // From now on requests for these names are answered. A name that is taken is kInvalidArgument.
  Status add_model(ModelHost host);

  void drain();                       // no new connections; running requests finish
  bool wait_drained(Duration limit);  // true: all are finished
  void stop();                        // ends everything, cancels what runs

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::api
