#include "serve/api/generation.h"

#include "serve/api/error_response.h"

namespace strata::api {

Generation::Generation(Engine& engine, std::unique_ptr<Answer> answer, bool stream,
                       std::shared_ptr<http::Responder> responder)
    : engine_(engine), answer_(std::move(answer)), stream_(stream), responder_(std::move(responder)) {}

void Generation::start(std::vector<Request> requests) {
  running_ = requests.size();
  const auto self = shared_from_this();
  responder_->on_close([self] { self->cancel(); });
  int index = 0;
  for (Request& request : requests) {
    auto sink = [self, index](Event&& event) {
      self->responder_->post(
          [self, index, event = std::move(event)]() mutable { self->on_event(index, std::move(event)); });
    };
    Duration retry_after{};
    const Result<Engine::RequestHandle> handle = engine_.submit(std::move(request), std::move(sink), &retry_after);
    if (!handle.ok()) {
      responder_->post([self, reason = handle.status(), retry_after] { self->fail(reason, retry_after); });
      return cancel();
    }
    add_handle(*handle);
    ++index;
  }
}

void Generation::on_event(int request, Event&& event) {
  if (ended_) return;
  if (event.finish == FinishReason::kError) return fail(event.error);
  if (event.finish == FinishReason::kCancelled) return fail(unavailable("the server is stopping"));
  if (event.last) {
    usage_.prompt_tokens += event.usage.prompt_tokens;
    usage_.completion_tokens += event.usage.completion_tokens;
    usage_.cached_tokens += event.usage.cached_tokens;
    --running_;
  }
  if (stream_) {
    if (!streaming_) {  // only now, so that a request that fails before its first token gets a plain error
      streaming_ = true;
      http::Response head;
      head.content_type = "text/event-stream";
      head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
      responder_->start(std::move(head));
    }
    responder_->write(answer_->frames(request, std::move(event)));
  } else {
    answer_->collect(request, std::move(event));
  }
  if (running_ == 0) complete();
}

void Generation::complete() {
  ended_ = true;
  if (stream_) {
    responder_->write(answer_->end(usage_));
    return responder_->finish();
  }
  http::Response response;
  response.body = answer_->body(usage_);
  responder_->send(std::move(response));
}

void Generation::fail(const Status& reason, Duration retry_after) {
  if (ended_) return;
  ended_ = true;
  if (streaming_) {
    responder_->write(answer_->error_frame(reason));
    responder_->finish();
  } else {
    responder_->send(error_response(reason, retry_after));
  }
  cancel();
}

void Generation::cancel() {
  std::vector<Engine::RequestHandle> handles;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    handles.swap(handles_);
  }
  for (const Engine::RequestHandle handle : handles) engine_.cancel(handle);
}

void Generation::add_handle(Engine::RequestHandle handle) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      handles_.push_back(handle);
      return;
    }
  }
  engine_.cancel(handle);  // the client left while the request was being handed over
}

}  // namespace strata::api
