#include "serve/http/connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <random>

#include "base/log.h"
#include "serve/http/connection_responder.h"

namespace strata::http {
namespace {

using boost::system::error_code;

constexpr size_t kPipelineBytes = 64 * 1024;  // read ahead of the request being answered
constexpr Duration kLingerTime = std::chrono::seconds(2);

void set_socket_options(asio::ip::tcp::socket& socket, Duration write_timeout) {
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.non_blocking(true, ignored);
  const int fd = socket.native_handle();
  const int idle = 30, interval = 10, count = 3;
  const unsigned user_timeout =
      static_cast<unsigned>(std::chrono::duration_cast<std::chrono::milliseconds>(write_timeout).count());
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
}

std::string make_request_id() {
  static const uint64_t start = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  static std::atomic<uint64_t> counter{0};
  uint64_t x = start + 0x9e3779b97f4a7c15u * (counter.fetch_add(1, std::memory_order_relaxed) + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;  // splitmix64: ids do not show how many requests came before
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  constexpr char kHex[] = "0123456789abcdef";
  std::string id = "req-";
  for (int shift = 60; shift >= 0; shift -= 4) id.push_back(kHex[(x >> shift) & 15]);
  return id;
}

// A client's own id is taken over only when it is safe to put into headers and logs.
std::string request_id(std::string_view given) {
  const bool fits = !given.empty() && given.size() <= 128 &&
                    std::all_of(given.begin(), given.end(), [](char c) { return c > ' ' && c < 127; });
  return fits ? std::string(given) : make_request_id();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The origin form of the target; empty when it is neither origin nor absolute form.
std::string_view origin_form(std::string_view target) {
  if (target.starts_with("http://") || target.starts_with("https://")) {
    target.remove_prefix(target.find("//") + 2);
    const size_t slash = target.find('/');
    return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  return target.starts_with('/') ? target : std::string_view();
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerCore> core, asio::ip::tcp::socket socket)
    : core_(std::move(core)), socket_(std::move(socket)), deadline_(socket_.get_executor()) {
  if (core_->hooks.observer) core_->hooks.observer->on_connection_opened();
}

Connection::~Connection() {
  if (state_ != State::kClosed) leave_server();
}

// A closed connection no longer counts, even while a responder still holds it.
void Connection::leave_server() {
  if (core_->hooks.observer) core_->hooks.observer->on_connection_closed();
  const std::lock_guard lock(core_->mutex);
  core_->connections.erase(this);
  core_->one_left.notify_all();
}

void Connection::start() {
  set_socket_options(socket_, core_->options.write_timeout);
  dispatch([self = shared_from_this()] { self->next_request(); });
}

void Connection::start_rejecting() {
  set_socket_options(socket_, core_->options.write_timeout);
  dispatch([self = shared_from_this()] {
    self->parser_.emplace();
    self->reject(503, unavailable("too many connections"), {{"Retry-After", "1"}});
  });
}

void Connection::close_if_idle() {
  if (state_ == State::kReading && !started_) close();
}

void Connection::close_now() {
  if (answering()) return client_left();
  close();
}

void Connection::dispatch(std::function<void()> task) {
  const auto executor = socket_.get_executor();
  const auto* strand = executor.target<asio::strand<asio::io_context::executor_type>>();
  if (strand != nullptr && strand->running_in_this_thread()) return task();
  post(std::move(task));
}

void Connection::post(std::function<void()> task) {
  const std::shared_lock lock(core_->gate);
  if (core_->open) asio::post(socket_.get_executor(), std::move(task));
}

void Connection::next_request() {
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(static_cast<uint32_t>(core_->options.max_header_bytes));
  parser_->body_limit(core_->options.max_body_bytes);
  state_ = State::kReading;
  started_ = header_seen_ = finishing_ = head_ = false;
  method_.clear();
  path_.clear();
  request_id_.clear();
  route_ = nullptr;
  bytes_in_ = bytes_out_ = 0;
  if (buffer_.size() > 0) {  // the client sent its next request early
    started_ = true;
    began_ = steady_clock().now();
    set_deadline(core_->options.header_timeout);
    return parse();
  }
  if (core_->draining) return close();
  set_deadline(core_->options.idle_timeout);
  read();
}

void Connection::read() {
  if (reading_ || state_ == State::kClosed) return;
  if (state_ != State::kReading && buffer_.size() >= kPipelineBytes) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(incoming_),
                          [self = shared_from_this()](error_code error, size_t size) { self->on_read(error, size); });
}

void Connection::on_read(error_code error, size_t size) {
  reading_ = false;
  if (state_ == State::kClosed) return;
  if (error && state_ == State::kSending) {  // the write under way will tell whether the answer got through
    keep_alive_ = false;
    return;
  }
  if (error) return answering() ? client_left() : close();
  buffer_.commit(asio::buffer_copy(buffer_.prepare(size), asio::buffer(incoming_), size));
  if (state_ == State::kLingering) buffer_.consume(buffer_.size());
  if (state_ != State::kReading) return read();
  if (!started_) {
    started_ = true;
    began_ = steady_clock().now();
    set_deadline(core_->options.header_timeout);
  }
  parse();
}

void Connection::parse() {
  while (buffer_.size() > 0) {
    error_code error;
    const size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    bytes_in_ += used;
    if (error == beast_http::error::body_limit) {
      return reject(413, Status(Code::kTooLarge, "the body is over the limit of " +
                                                     std::to_string(core_->options.max_body_bytes) + " bytes"));
    }
    if (error == beast_http::error::header_limit) {
      return reject(431, Status(Code::kTooLarge, "the header is over the limit of " +
                                                     std::to_string(core_->options.max_header_bytes) + " bytes"));
    }
    if (error && error != beast_http::error::need_more) {
      return reject(400, invalid_argument("not a valid HTTP request: " + error.message()));
    }
    if (!header_seen_ && parser_->is_header_done() && !accept_header()) return;
    if (parser_->is_done()) return handle_request();
    if (used == 0) break;
  }
  read();
}

bool Connection::accept_header() {
  header_seen_ = true;
  const auto& header = parser_->get();
  const auto fields = std::distance(header.begin(), header.end());
  if (fields > core_->options.max_header_fields) {
    reject(431, Status(Code::kTooLarge, "the header has " + std::to_string(fields) + " fields, the limit is " +
                                            std::to_string(core_->options.max_header_fields)));
    return false;
  }
  set_deadline(core_->options.body_timeout);
  if (!parser_->is_done() && lower(std::string_view(header[beast_http::field::expect])) == "100-continue") {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    error_code ignored;  // a client that misses it sends its body after a while all the same
    socket_.write_some(asio::buffer(kContinue.data(), kContinue.size()), ignored);
  }
  return true;
}

void Connection::handle_request() {
  auto message = parser_->release();
  keep_alive_ = message.keep_alive();
  chunked_ = message.version() >= 11;
  Request request;
  request.method = std::string(message.method_string());
  const std::string_view target = origin_form(message.target());
  request.path = target.substr(0, target.find('?'));
  if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
  for (const auto& field : message)
    request.headers.emplace_back(lower(field.name_string()), std::string(field.value()));
  request.body = std::move(message.body());
  request.id = request_id(request.header("x-request-id"));

  method_ = request.method;
  path_ = request.path;
  request_id_ = request.id;
  head_ = method_ == "HEAD";
  if (target.empty()) return reject(400, invalid_argument("the request target must be a path"));

  RouteMatch match = core_->table.find(request.method, request.path);
  if (match.route == nullptr) {
    if (match.allow.empty()) return reject(404, not_found("no such path: " + request.path));
    const std::string message_text = "method " + request.method + " is not allowed for " + request.path;
    return reject(405, invalid_argument(message_text), {{"Allow", match.allow}});
  }
  route_ = match.route;
  request.params = std::move(match.params);
  if (core_->hooks.authorize) {
    const Status allowed = core_->hooks.authorize(request, route_->scope);
    if (!allowed.ok()) {
      Headers headers;
      if (allowed.code() == Code::kUnauthenticated) headers.emplace_back("WWW-Authenticate", "Bearer");
      return reject(http_status(allowed.code()), allowed, std::move(headers));
    }
  }
  state_ = State::kHandling;
  deadline_.cancel();  // from here on the handler decides how long it takes
  const uint64_t generation = ++generation_;
  call_handler(*route_, std::move(request), std::make_shared<ConnectionResponder>(shared_from_this(), generation));
  read();  // keeps an eye on the client
}

void Connection::call_handler(const Route& route, Request&& request, std::shared_ptr<Responder> responder) {
  try {
    route.handler(std::move(request), std::move(responder));
  } catch (const std::exception& failure) {  // the dropped responder answers 500
    log_error("handler of " + route.pattern + " failed: " + failure.what());
  }
}

void Connection::reject(int status, const Status& reason, Headers headers) {
  // What follows in the buffer after a broken request cannot be trusted to be another one.
  if (!parser_->is_done()) {
    keep_alive_ = false;
    unread_ = true;
    buffer_.consume(buffer_.size());
  }
  if (request_id_.empty()) request_id_ = make_request_id();
  Response response;
  if (core_->hooks.error_response) {
    response = core_->hooks.error_response(status, reason);
  } else {
    response.content_type = "text/plain";
    response.body = reason.message() + "\n";
  }
  response.status = status;
  for (auto& header : headers) response.headers.push_back(std::move(header));
  state_ = State::kHandling;
  send(++generation_, std::move(response));
  read();
}

void Connection::abandon(uint64_t generation) {
  if (!current(generation)) return;
  if (state_ == State::kStreaming && !finishing_) {
    log_error("a stream was given up by its handler, request " + request_id_);
    return client_left();
  }
  if (state_ != State::kHandling) return;
  const Status reason = internal_error("the request was not answered");
  Response response;
  if (core_->hooks.error_response) response = core_->hooks.error_response(500, reason);
  response.status = 500;
  send(generation, std::move(response));
}

void Connection::on_close(uint64_t generation, std::function<void()> callback) {
  if (generation == generation_ && answering()) {
    on_close_ = std::move(callback);
  } else if (generation == generation_ && state_ == State::kClosed && status_ == 499) {
    callback();
  }
}

void Connection::end_request() {
  report(status_);
  on_close_ = nullptr;
  full_.reset();
  head_writer_.reset();
  head_only_.reset();
  if (!keep_alive_ || core_->draining) return unread_ ? linger() : close();
  next_request();
}

void Connection::client_left() {
  const std::function<void()> callback = std::move(on_close_);
  on_close_ = nullptr;
  status_ = 499;
  report(499);
  close();
  if (callback) callback();
}

// Closing while the client still sends could destroy the answer on its way; so say that nothing more comes from here
// and read on until the client closes too.
void Connection::linger() {
  error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  if (error) return close();
  state_ = State::kLingering;
  buffer_.consume(buffer_.size());
  set_deadline(kLingerTime);
  read();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  leave_server();
  state_ = State::kClosed;
  deadline_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void Connection::set_deadline(Duration limit) {
  deadline_.expires_after(limit);
  deadline_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && self->deadline_.expiry() <= std::chrono::steady_clock::now()) self->on_deadline();
  });
}

void Connection::on_deadline() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kReading && started_) {
    return reject(408, Status(Code::kDeadline, "the request did not arrive in time"));
  }
  if (answering()) {
    log_warning("closing a connection whose client takes no answer, request " + request_id_);
    return client_left();
  }
  close();
}

void Connection::report(int status) {
  if (method_.empty() && bytes_in_ == 0) return;
  const double seconds = to_seconds(steady_clock().now() - began_);
  const std::string none;
  if (core_->hooks.observer) {
    core_->hooks.observer->on_request(route_ ? route_->pattern : none, status, seconds, bytes_in_, bytes_out_);
  }
  const std::string line = method_ + " " + path_ + " " + std::to_string(status) + " " +
                           std::to_string(static_cast<int64_t>(seconds * 1e6)) + " us " + request_id_;
  if (route_ && route_->scope == Scope::kPublic) return log_debug(line);
  log_info(line);
}

}  // namespace strata::http
