// Failures in the shape OpenAI clients know: {"error": {"message", "type", "param", "code"}}.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "serve/http/message.h"

namespace strata::api {

// The body. `http_status` decides the type; Status::param becomes "param".
std::string error_json(int http_status, const Status& reason);

// With the HTTP status of the Status code, and Retry-After where trying again may help: whole seconds, at least one.
http::Response error_response(const Status& reason, Duration retry_after = {});
// With an HTTP status that no Status code stands for (405, 431, 501 ...).
http::Response error_response(int http_status, const Status& reason, Duration retry_after = {});

}  // namespace strata::api
