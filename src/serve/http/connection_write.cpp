// The writing half of a connection: whole answers and streams.
#include <boost/beast/core/buffers_cat.hpp>

#include "base/log.h"
#include "serve/http/connection.h"

namespace strata::http {

using boost::system::error_code;

template <class Message>
void Connection::set_fields(Message& message, const Response& response) {
  message.result(static_cast<unsigned>(response.status));
  message.version(11);
  message.set(beast_http::field::server, "strata");
  if (!response.content_type.empty()) message.set(beast_http::field::content_type, response.content_type);
  message.set("x-request-id", request_id_);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  if (core_->draining) keep_alive_ = false;
}

void Connection::send(uint64_t generation, Response response) {
  if (!current(generation) || state_ != State::kHandling) return;
  state_ = State::kSending;
  status_ = response.status;
  set_deadline(core_->options.write_timeout);
  const auto written = [self = shared_from_this()](error_code error, size_t size) {
    self->bytes_out_ += size;
    if (self->state_ == State::kClosed) return;
    if (error) return self->client_left();
    self->end_request();
  };
  if (head_) {
    head_only_.emplace();
    set_fields(*head_only_, response);
    head_only_->keep_alive(keep_alive_);
    head_only_->content_length(response.body.size());
    head_writer_.emplace(*head_only_);
    return beast_http::async_write_header(socket_, *head_writer_, written);
  }
  full_.emplace();
  set_fields(*full_, response);
  full_->keep_alive(keep_alive_);
  full_->body() = std::move(response.body);
  full_->prepare_payload();
  beast_http::async_write(socket_, *full_, written);
}

void Connection::start_stream(uint64_t generation, Response head) {
  if (!current(generation) || state_ != State::kHandling) return;
  state_ = State::kStreaming;
  status_ = head.status;
  pending_.clear();
  head_only_.emplace();
  set_fields(*head_only_, head);
  if (!chunked_) keep_alive_ = false;
  head_only_->keep_alive(keep_alive_);
  if (chunked_) head_only_->chunked(true);
  head_writer_.emplace(*head_only_);
  writing_ = true;
  set_deadline(core_->options.write_timeout);
  beast_http::async_write_header(socket_, *head_writer_, [self = shared_from_this()](error_code error, size_t size) {
    self->on_flushed(error, size);
  });
}

void Connection::write(uint64_t generation, std::string bytes) {
  if (!current(generation) || state_ != State::kStreaming || finishing_ || bytes.empty()) return;
  pending_ += bytes;
  if (pending_.size() + sending_.size() > core_->options.max_backlog_bytes) {
    log_warning("closing a stream whose client does not read, request " + request_id_);
    return client_left();
  }
  flush();
}

void Connection::finish(uint64_t generation) {
  if (!current(generation) || state_ != State::kStreaming) return;
  finishing_ = true;
  flush();
}

void Connection::flush() {
  if (writing_) return;
  if (pending_.empty() && !finishing_) return deadline_.cancel(), void();
  sending_.clear();
  sending_.swap(pending_);
  writing_ = true;
  set_deadline(core_->options.write_timeout);
  const auto written = [self = shared_from_this()](error_code error, size_t size) { self->on_flushed(error, size); };
  const bool last = finishing_;
  if (last) state_ = State::kSending;
  const auto data = asio::buffer(sending_);
  if (!chunked_) return asio::async_write(socket_, data, written);
  if (!last) return asio::async_write(socket_, beast_http::make_chunk(data), written);
  if (sending_.empty()) return asio::async_write(socket_, beast_http::make_chunk_last(), written);
  asio::async_write(socket_, boost::beast::buffers_cat(beast_http::make_chunk(data), beast_http::make_chunk_last()),
                    written);
}

void Connection::on_flushed(error_code error, size_t size) {
  bytes_out_ += size;
  writing_ = false;
  sending_.clear();
  if (state_ == State::kClosed) return;
  if (error) return client_left();
  if (state_ == State::kSending) return end_request();
  flush();
}

}  // namespace strata::http
