#include "serve/api/api_server.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "serve/api/endpoints.h"
#include "serve/api/error_response.h"
#include "serve/api/server_metrics.h"

namespace strata::api {
namespace {

// Takes as long for a wrong key as for the right one.
bool same_key(std::string_view given, std::string_view key) {
  return given.size() == key.size() && CRYPTO_memcmp(given.data(), key.data(), key.size()) == 0;
}

Status check_key(const http::Request& request, const std::vector<std::string>& keys) {
  std::string_view given = request.header("authorization");
  constexpr std::string_view kBearer = "Bearer ";
  if (given.empty()) {
    return {Code::kUnauthenticated, "an API key is needed (send the header Authorization: Bearer KEY)"};
  }
  if (!given.starts_with(kBearer)) return {Code::kUnauthenticated, "the Authorization header must be: Bearer KEY"};
  given.remove_prefix(kBearer.size());
  const bool known =
      std::any_of(keys.begin(), keys.end(), [given](const std::string& key) { return same_key(given, key); });
  return known ? ok_status() : Status(Code::kUnauthenticated, "the API key is not valid");
}

http::ServerHooks make_hooks(const std::vector<std::string>& keys, http::Observer& observer) {
  http::ServerHooks hooks;
  hooks.observer = &observer;
  hooks.error_response = [](int status_code, const Status& reason) { return error_response(status_code, reason); };
  if (!keys.empty()) {
    hooks.authorize = [keys](const http::Request& request, http::Scope scope) {
      return scope == http::Scope::kPublic ? ok_status() : check_key(request, keys);
    };
  }
  return hooks;
}

}  // namespace

struct ApiServer::Impl {
  Impl(ApiOptions options, Metrics& metrics)
      : observer(metrics),
        endpoints(metrics, options.intake_threads, options.max_waiting_intake),
        server(std::move(options.http), endpoints.routes(), make_hooks(options.api_keys, observer)) {}

  ServerMetrics observer;
  Endpoints endpoints;
  http::HttpServer server;
};

ApiServer::ApiServer(ApiOptions options, Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(options), metrics)) {}

ApiServer::~ApiServer() { stop(); }

Status ApiServer::start() { return impl_->server.start(); }
int ApiServer::port() const { return impl_->server.port(); }
Status ApiServer::add_model(ModelHost host) { return impl_->endpoints.models().add(std::move(host)); }

void ApiServer::drain() {
  impl_->endpoints.drain();
  impl_->server.drain();
}

bool ApiServer::wait_drained(Duration limit) { return impl_->server.wait_drained(limit); }

void ApiServer::stop() {
  impl_->endpoints.stop();  // first: a request handed over later would run with nobody to cancel it
  impl_->server.stop();
}

}  // namespace strata::api
