#include "serve/api/endpoints.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "serve/api/error_response.h"
#include "serve/api/json_text.h"

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;
using http::Scope;

void send_json(http::Responder& responder, const Json& value) {
  http::Response response;
  response.body = json_text(value);
  responder.send(std::move(response));
}

Json capabilities(const ServedModel& model) {
  Json can = Json::array();
  if (model.generates()) can.push_back("generate");
  if (model.embeds()) can.push_back("embed");
  if (model.ranks()) can.push_back("rerank");
  return can;
}

// What an adapter's entry has beside its model's: null for a model.
Json model_json(const ServedModel& model, const std::string& name, const NamedAdapter* adapter = nullptr) {
  return {{"id", name},
          {"object", "model"},
          {"created", adapter == nullptr ? model.host.created : adapter->created},
          {"owned_by", "strata"},
          {"root", adapter == nullptr ? name : adapter->folder},
          {"parent", adapter == nullptr ? Json() : Json(model.host.names.front())},
          {"max_model_len", model.max_tokens()},
          {"capabilities", adapter == nullptr ? capabilities(model) : Json{"generate"}}};
}

}  // namespace

Endpoints::Endpoints(Metrics& metrics, int intake_threads, int max_waiting)
    : metrics_(metrics), intake_(intake_threads, static_cast<size_t>(max_waiting)) {}

std::vector<http::Route> Endpoints::routes() {
  return {
      {"GET", "/health", Scope::kPublic, at_once(&Endpoints::health)},
      {"GET", "/ready", Scope::kPublic, at_once(&Endpoints::ready)},
      {"GET", "/metrics", Scope::kPublic, at_once(&Endpoints::metrics_text)},
      {"GET", "/v1/models", Scope::kInfer, at_once(&Endpoints::list_models)},
      {"GET", "/v1/models/{id*}", Scope::kInfer, at_once(&Endpoints::get_model)},
      {"POST", "/v1/chat/completions", Scope::kInfer, on_intake(&Endpoints::chat_completions)},
      {"POST", "/v1/completions", Scope::kInfer, on_intake(&Endpoints::completions)},
      {"POST", "/v1/models/{id*}/predict", Scope::kInfer, on_intake(&Endpoints::predict)},
      {"POST", "/tokenize", Scope::kInfer, on_intake(&Endpoints::tokenize)},
      {"POST", "/detokenize", Scope::kInfer, on_intake(&Endpoints::detokenize)},
      {"POST", "/v1/embeddings", Scope::kInfer, on_intake(&Endpoints::embeddings)},
      {"POST", "/v1/rerank", Scope::kInfer, on_intake(&Endpoints::rerank)},
      {"POST", "/v1/load_lora_adapter", Scope::kInfer, on_intake(&Endpoints::load_adapter)},
      {"POST", "/v1/unload_lora_adapter", Scope::kInfer, on_intake(&Endpoints::unload_adapter)},
  };
}

http::Handler Endpoints::at_once(Probe probe) {
  return [this, probe](http::Request&& request, ResponderPtr responder) {
    (this->*probe)(std::move(request), std::move(responder));
  };
}

http::Handler Endpoints::on_intake(Task task) {
  return [this, task](http::Request&& request, ResponderPtr responder) {
    const auto run = [this, task, request = std::move(request), responder] {
      try {
        const Status status = (this->*task)(request, responder);
        if (!status.ok()) responder->send(error_response(status));
      } catch (const std::exception& failure) {  // out of memory; the JSON writer throws nothing else here
        log_error("request " + request.id + " failed: " + failure.what());
        responder->send(error_response(internal_error("the request could not be processed")));
      }
    };
    if (!intake_.add(run))
      responder->send(error_response(exhausted("too many requests are waiting (try again later)")));
  };
}

void Endpoints::health(http::Request&&, ResponderPtr responder) { send_json(*responder, {{"status", "ok"}}); }

void Endpoints::ready(http::Request&&, ResponderPtr responder) {
  if (draining_) return responder->send(error_response(unavailable("the server is draining")));
  if (models_.all().empty()) return responder->send(error_response(unavailable("no model is loaded yet")));
  send_json(*responder, {{"status", "ready"}});
}

void Endpoints::metrics_text(http::Request&&, ResponderPtr responder) {
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.text();
  responder->send(std::move(response));
}

void Endpoints::list_models(http::Request&&, ResponderPtr responder) {
  Json data = Json::array();
  for (const ServedModel* model : models_.all()) {
    for (const std::string& name : model->host.names) data.push_back(model_json(*model, name));
    for (const NamedAdapter& adapter : models_.adapters(*model))
      data.push_back(model_json(*model, adapter.name, &adapter));
  }
  send_json(*responder, {{"object", "list"}, {"data", std::move(data)}});
}

void Endpoints::get_model(http::Request&& request, ResponderPtr responder) {
  const std::string name(request.param("id"));
  const Result<Chosen> chosen = models_.choose(name);
  if (!chosen.ok()) return responder->send(error_response(chosen.status()));
  for (const NamedAdapter& adapter : models_.adapters(*chosen->model)) {
    if (adapter.name == name) return send_json(*responder, model_json(*chosen->model, name, &adapter));
  }
  send_json(*responder, model_json(*chosen->model, name));
}

}  // namespace strata::api
