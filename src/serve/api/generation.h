// One generating HTTP request: its engine requests, the answer they build up, and the way back to the client.
//
// Thread rule: start() is called once, on any thread. The engine's events are posted to the connection's network
// thread, where everything else happens; so the answer needs no lock and the engine thread does nothing but post. When
// the client leaves, the engine requests are cancelled at once.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.h"
#include "serve/api/answer.h"
#include "serve/http/responder.h"

namespace strata::api {

// Shared: the responder's on_close callback and the sinks of running engine requests hold it.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  Generation(Engine& engine, std::unique_ptr<Answer> answer, bool stream, std::shared_ptr<http::Responder> responder);

  void start(std::vector<Request> requests);

 private:
  void on_event(int request, Event&& event);
  void fail(const Status& reason, Duration retry_after = {});
  void complete();
  void cancel();
  void add_handle(Engine::RequestHandle handle);

  Engine& engine_;
  const std::unique_ptr<Answer> answer_;
  const bool stream_;
  const std::shared_ptr<http::Responder> responder_;

  // On the network thread.
  size_t running_ = 0;
  bool streaming_ = false;
  bool ended_ = false;
  Usage usage_;

  std::mutex mutex_;
  std::vector<Engine::RequestHandle> handles_;  // guarded by mutex_
  bool cancelled_ = false;                      // guarded by mutex_
};

}  // namespace strata::api
