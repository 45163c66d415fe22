// An HTTP/1.1 server: keep-alive, chunked streams, hard limits on everything a client can send, and a clear answer to
// each violation. One or two network threads carry all connections; handlers must not block them.
//
// What a client meets: 400 broken HTTP, 404 unknown path, 405 with Allow, 408 a request that trickles in, 413 a body
// over the limit, 431 a header over the limit, 503 too many connections. A connection that stays silent is closed after
// `idle_timeout`; one that does not take its answer after `write_timeout`; a client that vanished without a word is
// found by TCP keep-alive. The network library stays inside this folder, and none of its exceptions leaves it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "serve/http/route.h"

namespace strata::http {

struct ServerOptions {
  std::string host = "127.0.0.1";  // address or name to listen at
  int port = 8080;                 // 0: any free one, see HttpServer::port()
  int n_threads = 2;               // network threads; more than 2 only for thousands of busy streams
  int max_connections = 4096;
  size_t max_header_bytes = 64 * 1024;
  int max_header_fields = 200;
  size_t max_body_bytes = 16 * 1024 * 1024;
  size_t max_backlog_bytes = 4 * 1024 * 1024;          // unsent bytes of one stream before its client counts as gone
  Duration idle_timeout = std::chrono::seconds(75);    // between requests
  Duration header_timeout = std::chrono::seconds(10);  // from a request's first byte to the end of its header
  Duration body_timeout = std::chrono::seconds(60);    // for the whole body
  Duration write_timeout = std::chrono::seconds(30);   // for one write to get through
};

// Hears what happens, for metrics. Called on network threads; must be cheap.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_connection_opened() {}
  virtual void on_connection_closed() {}
  // `route`: the pattern, or empty when no route was found. `status` 499: the client left before the end.
  virtual void on_request(const std::string& /*route*/, int /*status*/, double /*seconds*/, size_t /*bytes_in*/,
                          size_t /*bytes_out*/) {}
};

struct ServerHooks {
  // Decides before the handler whether a request may pass; null: all may.
  std::function<Status(const Request& request, Scope scope)> authorize;
  // The answer to a request that never reaches its handler. `status_code` is HTTP's; null: plain text.
  std::function<Response(int status_code, const Status& reason)> error_response;
  Observer* observer = nullptr;  // outlives the server
};

class HttpServer {
 public:
  HttpServer(ServerOptions options, std::vector<Route> routes, ServerHooks hooks = {});
  ~HttpServer();  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Binds, listens and starts the threads. kInvalidArgument: no such address; kUnavailable: the port is taken.
  Status start();
  int port() const;  // after start()

  // Closes the listening socket and idle connections; running requests finish, then their connections close.
  void drain();
  // Waits until no connection is left, at most `limit`. False: some still run.
  bool wait_drained(Duration limit);
  // Closes everything (clients of running requests see a broken stream, on_close callbacks run) and joins the threads.
  void stop();

  int open_connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// HTTP status for a Status code; the one table. kCancelled is 499, as the client has left.
int http_status(Code code);

}  // namespace strata::http
