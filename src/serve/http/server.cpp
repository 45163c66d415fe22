#include "serve/http/server.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "serve/http/connection.h"

namespace strata::http {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr int kNetworkNice = -5;
constexpr Duration kStopTime = std::chrono::seconds(2);

// Network threads run short and seldom; before compute threads they keep probes and streams prompt on a busy machine.
// Needs a right that containers often lack; then they run as equals.
void raise_thread_priority() { setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNetworkNice); }

void run_network_thread(asio::io_context& io) {
  raise_thread_priority();
  while (true) {
    try {
      io.run();
      return;
    } catch (const std::exception& failure) {  // e.g. out of memory in one connection; the others go on
      log_error(std::string("network thread: ") + failure.what());
    }
  }
}

}  // namespace

struct HttpServer::Impl {
  Impl(ServerOptions options, std::vector<Route> routes, ServerHooks hooks)
      : core(std::make_shared<ServerCore>(std::move(options), std::move(routes), std::move(hooks))),
        acceptor(asio::make_strand(core->io)),
        retry(acceptor.get_executor()) {}

  Status listen();
  void accept();
  void on_accept(error_code error, tcp::socket socket);
  std::vector<std::shared_ptr<Connection>> live() const;
  bool wait_empty(Duration limit);

  std::shared_ptr<ServerCore> core;
  tcp::acceptor acceptor;
  asio::steady_timer retry;
  std::vector<std::thread> threads;
  int port = 0;
};

Status HttpServer::Impl::listen() {
  const ServerOptions& options = core->options;
  const std::string place = options.host + ":" + std::to_string(options.port);
  if (options.port < 0 || options.port > 65535) return invalid_argument("port must be 0 to 65535", "port");
  error_code error;
  tcp::resolver resolver(core->io);
  const auto found = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty()) return invalid_argument("cannot listen at " + place + ": " + error.message(), "host");
  const tcp::endpoint endpoint = *found.begin();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return unavailable("cannot listen at " + place + ": " + error.message() + " (choose another --port)");
  port = acceptor.local_endpoint(error).port();
  return ok_status();
}

void HttpServer::Impl::accept() {
  acceptor.async_accept(asio::make_strand(core->io),
                        [this](error_code error, tcp::socket socket) { on_accept(error, std::move(socket)); });
}

void HttpServer::Impl::on_accept(error_code error, tcp::socket socket) {
  if (!acceptor.is_open()) return;
  if (error) {  // out of file descriptors, most likely: wait until some are free again
    log_warning("cannot accept a connection: " + error.message());
    retry.expires_after(std::chrono::milliseconds(100));
    retry.async_wait([this](error_code stopped) {
      if (!stopped) accept();
    });
    return;
  }
  auto connection = std::make_shared<Connection>(core, std::move(socket));
  bool full = false;
  {
    const std::lock_guard lock(core->mutex);
    full = static_cast<int>(core->connections.size()) >= core->options.max_connections;
    core->connections.emplace(connection.get(), connection);
  }
  full ? connection->start_rejecting() : connection->start();
  accept();
}

std::vector<std::shared_ptr<Connection>> HttpServer::Impl::live() const {
  std::vector<std::shared_ptr<Connection>> found;
  const std::lock_guard lock(core->mutex);
  for (const auto& entry : core->connections) {
    if (auto connection = entry.second.lock()) found.push_back(std::move(connection));
  }
  return found;
}

bool HttpServer::Impl::wait_empty(Duration limit) {
  std::unique_lock lock(core->mutex);
  return core->one_left.wait_for(lock, limit, [this] { return core->connections.empty(); });
}

HttpServer::HttpServer(ServerOptions options, std::vector<Route> routes, ServerHooks hooks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(routes), std::move(hooks))) {}

HttpServer::~HttpServer() { stop(); }

Status HttpServer::start() {
  CHECK(impl_->threads.empty());
  try {
    RETURN_IF_ERROR(impl_->listen());
    impl_->accept();
    for (int i = 0; i < impl_->core->options.n_threads; ++i) {
      impl_->threads.emplace_back([core = impl_->core] { run_network_thread(core->io); });
    }
  } catch (const std::exception& failure) {
    return internal_error(std::string("cannot start the HTTP server: ") + failure.what());
  }
  return ok_status();
}

int HttpServer::port() const { return impl_->port; }

void HttpServer::drain() {
  if (impl_->core->draining.exchange(true)) return;
  asio::post(impl_->acceptor.get_executor(), [this] {
    error_code ignored;
    impl_->retry.cancel();
    impl_->acceptor.close(ignored);
  });
  for (const auto& connection : impl_->live()) {
    connection->dispatch([connection] { connection->close_if_idle(); });
  }
}

bool HttpServer::wait_drained(Duration limit) { return impl_->wait_empty(limit); }

void HttpServer::stop() {
  if (impl_->threads.empty()) return;
  drain();
  for (const auto& connection : impl_->live()) {
    connection->dispatch([connection] { connection->close_now(); });
  }
  impl_->wait_empty(kStopTime);
  impl_->core->io.stop();
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
  {
    const std::unique_lock lock(impl_->core->gate);
    impl_->core->open = false;
  }
  // What is still queued holds connections, which hold the queue: run it to its end.
  impl_->core->io.restart();
  impl_->core->io.poll();
}

int HttpServer::open_connections() const {
  const std::lock_guard lock(impl_->core->mutex);
  return static_cast<int>(impl_->core->connections.size());
}

int http_status(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kDeadline:
      return 408;
    case Code::kTooLarge:
      return 413;
    case Code::kExhausted:
      return 429;
    case Code::kCancelled:
      return 499;
    case Code::kUnavailable:
      return 503;
    case Code::kDataLoss:
      return 500;
    case Code::kInternal:
      return 500;
  }
  return 500;
}

}  // namespace strata::http
