#include "serve/api/error_response.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/api/json_text.h"
#include "serve/http/server.h"

namespace strata::api {
namespace {

const char* error_type(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return http_status < 500 ? "invalid_request_error" : "server_error";
  }
}

// The codes that clients look at; null for the rest.
nlohmann::json error_code(int http_status, const Status& reason) {
  switch (http_status) {
    case 401:
      return "invalid_api_key";
    case 404:
      return reason.param() == "model" ? nlohmann::json("model_not_found") : nlohmann::json();
    case 408:
      return "timeout";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_exceeded";
    case 501:
      return "not_implemented";
    case 503:
      return "unavailable";
    default:
      return nullptr;
  }
}

}  // namespace

std::string error_json(int http_status, const Status& reason) {
  nlohmann::ordered_json error;
  error["message"] = reason.message();
  error["type"] = error_type(http_status);
  error["param"] = reason.param().empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(reason.param());
  error["code"] = error_code(http_status, reason);
  return json_text({{"error", std::move(error)}});
}

http::Response error_response(int http_status, const Status& reason, Duration retry_after) {
  http::Response response;
  response.status = http_status;
  response.body = error_json(http_status, reason);
  if (http_status == 429 || http_status == 503) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(retry_after).count();
    response.headers.emplace_back("Retry-After", std::to_string(std::max<int64_t>(1, seconds)));
  }
  return response;
}

http::Response error_response(const Status& reason, Duration retry_after) {
  return error_response(http::http_status(reason.code()), reason, retry_after);
}

}  // namespace strata::api
