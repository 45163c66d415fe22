#include "serve/api/embedding_job.h"

#include <utility>

#include "serve/api/error_response.h"

namespace strata::api {

EmbeddingJob::EmbeddingJob(EmbeddingEngine& engine, std::unique_ptr<EmbeddingAnswer> answer,
                           std::shared_ptr<http::Responder> responder)
    : engine_(engine), answer_(std::move(answer)), responder_(std::move(responder)) {}

void EmbeddingJob::start(EmbeddingRequest request) {
  const auto self = shared_from_this();
  responder_->on_close([self] { self->cancel(); });
  const Result<EmbeddingEngine::RequestHandle> handle =
      engine_.submit(std::move(request), [self](EmbeddingEvent&& event) {
        self->responder_->post([self, event = std::move(event)] { self->on_event(event); });
      });
  if (!handle.ok()) return responder_->post([self, reason = handle.status()] { self->fail(reason); });
  keep(*handle);
}

void EmbeddingJob::on_event(const EmbeddingEvent& event) {
  if (ended_) return;
  if (event.error.code() == Code::kCancelled) return fail(unavailable("the server is stopping"));
  if (!event.error.ok()) return fail(event.error);
  if (const Status status = answer_->add(event); !status.ok()) return fail(status);
  if (!event.last) return;
  ended_ = true;
  http::Response response;
  response.body = answer_->body(event.tokens);
  responder_->send(std::move(response));
}

void EmbeddingJob::fail(const Status& reason) {
  if (ended_) return;
  ended_ = true;
  responder_->send(error_response(reason));
  cancel();
}

void EmbeddingJob::cancel() {
  std::optional<EmbeddingEngine::RequestHandle> handle;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    handle = std::exchange(handle_, std::nullopt);
  }
  if (handle) engine_.cancel(*handle);
}

void EmbeddingJob::keep(EmbeddingEngine::RequestHandle handle) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      handle_ = handle;
      return;
    }
  }
  engine_.cancel(handle);  // the client left while the request was being handed over
}

}  // namespace strata::api
