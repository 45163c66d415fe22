// The way back to the client of one request. A handler either calls send() once, or start(), then write() as often as
// it likes, then finish(). Every call may come from any thread and returns at once; calls from one thread keep their
// order. Calls after the end, or after the client has left, do nothing. When the last owner lets go of a responder that
// was never ended, the server ends it itself (500, or an aborted stream), so that no client waits for ever.
#pragma once

#include <functional>
#include <string>

#include "serve/http/message.h"

namespace strata::http {

class Responder {
 public:
  virtual ~Responder() = default;

  virtual void send(Response response) = 0;

  // Sends status and headers now (`head.body` is ignored); the body follows in chunks.
  virtual void start(Response head) = 0;
  // Queues bytes. A client that reads too slowly is disconnected once the queue is over the server's limit.
  virtual void write(std::string bytes) = 0;
  virtual void finish() = 0;

  // Runs `task` on the connection's network thread, one task at a time, in the order posted from one thread. This is
  // how engine events reach the code that formats them. Dropped when the server has stopped.
  virtual void post(std::function<void()> task) = 0;

  // `callback` runs on the network thread when the client leaves before the end (at once when it has left already).
  // At most one; it is dropped, unused, at a normal end.
  virtual void on_close(std::function<void()> callback) = 0;
};

}  // namespace strata::http
