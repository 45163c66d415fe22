// The responder of one request on one connection (private to this folder).
#pragma once

#include "serve/http/connection.h"
#include "serve/http/responder.h"

namespace strata::http {

class ConnectionResponder final : public Responder {
 public:
  // Shared: the connection stays alive while somebody may still answer on it.
  ConnectionResponder(std::shared_ptr<Connection> connection, uint64_t generation)
      : connection_(std::move(connection)), generation_(generation) {}

  // The last owner may let go on the network thread while what another one wrote is still queued.
  ~ConnectionResponder() override {
    connection_->post([to = connection_, n = generation_] { to->abandon(n); });
  }

  void send(Response response) override {
    connection_->dispatch([to = connection_, n = generation_, response = std::move(response)]() mutable {
      to->send(n, std::move(response));
    });
  }
  void start(Response head) override {
    connection_->dispatch([to = connection_, n = generation_, head = std::move(head)]() mutable {
      to->start_stream(n, std::move(head));
    });
  }
  void write(std::string bytes) override {
    connection_->dispatch(
        [to = connection_, n = generation_, bytes = std::move(bytes)]() mutable { to->write(n, std::move(bytes)); });
  }
  void finish() override {
    connection_->dispatch([to = connection_, n = generation_] { to->finish(n); });
  }
  void post(std::function<void()> task) override { connection_->dispatch(std::move(task)); }
  void on_close(std::function<void()> callback) override {
    connection_->dispatch([to = connection_, n = generation_, callback = std::move(callback)]() mutable {
      to->on_close(n, std::move(callback));
    });
  }

 private:
  std::shared_ptr<Connection> connection_;
  const uint64_t generation_;
};

}  // namespace strata::http
