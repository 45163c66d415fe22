// A small blocking HTTP/1.1 client for load generation and tests: keep-alive, whole answers or server-sent events, a
// time limit on every wait. Plain TCP. One thread at a time per client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "serve/http/message.h"
#include "serve/http/sse.h"

namespace strata::http {

struct ClientResponse {
  int status = 0;
  Headers headers;  // names in lower case
  std::string body;
  std::string_view header(std::string_view name) const;
};

class Client {
 public:
  // Connects at the first request. `timeout`: longest wait for the connection, for a whole answer, or between two
  // events.
  Client(std::string host, int port, Duration timeout = std::chrono::seconds(60));
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // kUnavailable: no connection, or it broke; kDeadline: too slow. Any HTTP status is a success here. A kept connection
  // that the server has closed meanwhile is opened again once.
  Result<ClientResponse> request(std::string_view method, std::string_view target, std::string_view body = {},
                                 const Headers& headers = {});

  // Sends a request and calls `on_event` for each event as it comes; false from it closes the connection and ends the
  // call. The response returned has no body when it was an event stream, else the whole body (an error, say).
  Result<ClientResponse> stream(std::string_view method, std::string_view target, std::string_view body,
                                const Headers& headers, const std::function<bool(const SseEvent&)>& on_event);

  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata::http
