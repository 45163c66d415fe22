// The handlers behind the routes. Internal to serve/api.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "model/text/chat_form.h"
#include "serve/api/api_requests.h"
#include "serve/api/model_host.h"
#include "serve/api/task_threads.h"
#include "serve/http/route.h"

namespace strata::api {

// A host with what is worked out once.
struct ServedModel {
  ModelHost host;
  size_t longest_token_bytes = 1;
  std::string bos_text;
  std::string eos_text;
  ChatForm chat_form;

  bool generates() const { return host.engine != nullptr; }
  bool embeds() const { return host.embedding_engine != nullptr && host.embedding_engine->limits().embeds; }
  bool ranks() const { return host.embedding_engine != nullptr && host.embedding_engine->limits().n_labels == 1; }
  int max_tokens() const;              // of a request
  std::string endpoints_text() const;  // what the model is for, e.g. "/v1/embeddings"
};

// "PREFIX" and 32 random hexadecimal digits.
std::string make_answer_id(std::string_view prefix);

// What a request computes with: a model, maybe with an adapter.
struct Chosen {
  const ServedModel* model = nullptr;
  AdapterRef adapter;  // null: none
};

// The models of the server and their adapters. Any thread; models are never removed, so pointers stay valid.
class ServedModels {
 public:
  Status add(ModelHost host);
  // An empty name means the only model there is. kNotFound names the models there are.
  Result<const ServedModel*> find(const std::string& name) const;
  // The same, or an adapter of this name with its model.
  Result<Chosen> choose(const std::string& name) const;
  std::vector<const ServedModel*> all() const;

  // Whether add_adapter() would take one of this name: asked before its files are read.
  Status check_new_adapter(const ServedModel& model, const std::string& name, bool in_place) const;
  // kInvalidArgument: the name is taken (by another adapter: unless `in_place`), or the model has as many as it may.
  Status add_adapter(const ServedModel& model, NamedAdapter adapter, bool in_place);
  Status remove_adapter(const std::string& name);  // kNotFound
  std::vector<NamedAdapter> adapters(const ServedModel& model) const;

 private:
  struct Adapter {
    const ServedModel* model;
    NamedAdapter named;
  };
  Result<const ServedModel*> find_locked(const std::string& name) const;
  bool has_model_locked(const std::string& name) const;
  Status check_new_adapter_locked(const ServedModel& model, const std::string& name, bool in_place) const;

  mutable std::mutex mutex_;
  std::deque<ServedModel> models_;           // guarded by mutex_; a deque does not move its elements
  std::map<std::string, Adapter> adapters_;  // by name; guarded by mutex_
};

class Endpoints {
 public:
  Endpoints(Metrics& metrics, int intake_threads, int max_waiting);

  std::vector<http::Route> routes();
  ServedModels& models() { return models_; }
  void drain() { draining_ = true; }
  void stop() { intake_.stop(); }

 private:
  using ResponderPtr = std::shared_ptr<http::Responder>;

  // Answered at once on the network thread.
  void health(http::Request&& request, ResponderPtr responder);
  void ready(http::Request&& request, ResponderPtr responder);
  void metrics_text(http::Request&& request, ResponderPtr responder);
  void list_models(http::Request&& request, ResponderPtr responder);
  void get_model(http::Request&& request, ResponderPtr responder);

  // Run on an intake thread; a Status that is returned becomes the answer.
  Status chat_completions(const http::Request& request, const ResponderPtr& responder);
  Status completions(const http::Request& request, const ResponderPtr& responder);
  Status predict(const http::Request& request, const ResponderPtr& responder);
  Status embeddings(const http::Request& request, const ResponderPtr& responder);
  Status rerank(const http::Request& request, const ResponderPtr& responder);
  Status tokenize(const http::Request& request, const ResponderPtr& responder);
  Status detokenize(const http::Request& request, const ResponderPtr& responder);
  Status load_adapter(const http::Request& request, const ResponderPtr& responder);
  Status unload_adapter(const http::Request& request, const ResponderPtr& responder);

  using Task = Status (Endpoints::*)(const http::Request& request, const ResponderPtr& responder);
  http::Handler on_intake(Task task);
  using Probe = void (Endpoints::*)(http::Request&& request, ResponderPtr responder);
  http::Handler at_once(Probe probe);

  Metrics& metrics_;
  ServedModels models_;
  std::atomic<bool> draining_{false};
  TaskThreads intake_;
};

}  // namespace strata::api
