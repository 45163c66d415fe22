// One HTTP request to the embedding engine: its engine request, the answer it builds up, and the way back to the
// client.
//
// Thread rule: as for Generation: start() is called once, on any thread; the engine's events are posted to the
// connection's network thread, where everything else happens. When the client leaves, the engine request is cancelled.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "engine/embedding_engine.h"
#include "serve/api/embedding_answer.h"
#include "serve/http/responder.h"

namespace strata::api {

class EmbeddingJob : public std::enable_shared_from_this<EmbeddingJob> {
 public:
  EmbeddingJob(EmbeddingEngine& engine, std::unique_ptr<EmbeddingAnswer> answer,
               std::shared_ptr<http::Responder> responder);

  void start(EmbeddingRequest request);

 private:
  void on_event(const EmbeddingEvent& event);
  void fail(const Status& reason);
  void cancel();
  void keep(EmbeddingEngine::RequestHandle handle);

  EmbeddingEngine& engine_;
  const std::unique_ptr<EmbeddingAnswer> answer_;
  const std::shared_ptr<http::Responder> responder_;
  bool ended_ = false;  // on the network thread

  std::mutex mutex_;
  std::optional<EmbeddingEngine::RequestHandle> handle_;  // guarded by mutex_
  bool cancelled_ = false;                                // guarded by mutex_
};

}  // namespace strata::api
