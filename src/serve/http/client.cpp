#include "serve/http/client.h"

#include <array>
#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

namespace strata::http {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr uint64_t kMaxAnswerBytes = uint64_t{1} << 30;

using Parser = beast_http::response_parser<beast_http::buffer_body>;

}  // namespace

struct Client::Impl {
  Impl(std::string server_host, int server_port, Duration limit)
      : host(std::move(server_host)), port(server_port), timeout(limit), socket(io) {}

  // Starts one operation and runs it to its end, or until the time is over; then the connection is closed.
  template <class Start>
  Status run(const char* what, Start&& start) {
    error_code error = asio::error::would_block;
    start([&error](error_code result, auto&&...) { error = result; });
    io.restart();
    io.run_for(timeout);
    if (!io.stopped()) {
      close();
      io.run();
      return {Code::kDeadline,
              std::string(what) + ": no answer from " + host + ":" + std::to_string(port) + " in time"};
    }
    if (error) {
      close();
      return unavailable(std::string(what) + " " + host + ":" + std::to_string(port) + ": " + error.message());
    }
    return ok_status();
  }

  Status connect();
  Status send(std::string_view method, std::string_view target, std::string_view body, const Headers& headers);
  Status read_header(Parser& parser);
  Status read_piece(Parser& parser, std::string_view& piece);
  Result<ClientResponse> exchange(std::string_view method, std::string_view target, std::string_view body,
                                  const Headers& headers, const std::function<bool(const SseEvent&)>* on_event);
  Status read_events(Parser& parser, const std::function<bool(const SseEvent&)>& on_event);
  void close() {
    error_code ignored;
    socket.close(ignored);
    buffer.consume(buffer.size());
  }

  const std::string host;
  const int port;
  const Duration timeout;
  asio::io_context io;
  tcp::socket socket;
  boost::beast::flat_buffer buffer;
  std::array<char, 16384> piece_bytes;
  bool reused = false;
};

Status Client::Impl::connect() {
  reused = socket.is_open();
  if (reused) return ok_status();
  error_code error;
  tcp::resolver resolver(io);
  const auto endpoints = resolver.resolve(host, std::to_string(port), error);
  if (error) return unavailable("cannot resolve " + host + ": " + error.message());
  RETURN_IF_ERROR(run("connect to", [&](auto done) { asio::async_connect(socket, endpoints, done); }));
  socket.set_option(tcp::no_delay(true), error);
  return ok_status();
}

Status Client::Impl::send(std::string_view method, std::string_view target, std::string_view body,
                          const Headers& headers) {
  beast_http::request<beast_http::string_body> message;
  message.method_string(method);
  message.target(target);
  message.version(11);
  message.set(beast_http::field::host, host + ":" + std::to_string(port));
  if (!body.empty()) message.set(beast_http::field::content_type, "application/json");
  for (const auto& [name, value] : headers) message.set(name, value);
  message.body() = body;
  message.prepare_payload();
  return run("send to", [&](auto done) { beast_http::async_write(socket, message, done); });
}

Status Client::Impl::read_header(Parser& parser) {
  parser.body_limit(kMaxAnswerBytes);
  return run("read from", [&](auto done) { beast_http::async_read_header(socket, buffer, parser, done); });
}

// The next bytes of the body; empty at its end.
Status Client::Impl::read_piece(Parser& parser, std::string_view& piece) {
  piece = {};
  if (parser.is_done()) return ok_status();
  auto& body = parser.get().body();
  body.data = piece_bytes.data();
  body.size = piece_bytes.size();
  body.more = true;
  RETURN_IF_ERROR(run("read from", [&](auto done) {
    beast_http::async_read_some(socket, buffer, parser, [done](error_code error, size_t size) {
      done(error == beast_http::error::need_buffer ? error_code() : error, size);
    });
  }));
  piece = {piece_bytes.data(), piece_bytes.size() - body.size};
  return ok_status();
}

Status Client::Impl::read_events(Parser& parser, const std::function<bool(const SseEvent&)>& on_event) {
  SseParser events;
  while (!parser.is_done()) {
    std::string_view piece;
    RETURN_IF_ERROR(read_piece(parser, piece));
    for (const SseEvent& event : events.push(piece)) {
      if (on_event(event)) continue;
      close();
      return ok_status();
    }
  }
  return ok_status();
}

Result<ClientResponse> Client::Impl::exchange(std::string_view method, std::string_view target, std::string_view body,
                                              const Headers& headers,
                                              const std::function<bool(const SseEvent&)>* on_event) {
  std::optional<Parser> answer;
  for (int attempt = 0;; ++attempt) {
    RETURN_IF_ERROR(connect());
    Status sent = send(method, target, body, headers);
    if (sent.ok()) {
      answer.emplace();
      answer->skip(method == "HEAD");  // whatever its Content-Length says
      sent = read_header(*answer);
    }
    if (sent.ok()) break;
    if (!reused || attempt > 0 || sent.code() == Code::kDeadline) return sent;
  }
  Parser& parser = *answer;
  ClientResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    std::string name(field.name_string());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    response.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  const bool keep = parser.get().keep_alive();
  const bool events = response.header("content-type").starts_with("text/event-stream");
  if (on_event != nullptr && events) {
    RETURN_IF_ERROR(read_events(parser, *on_event));
  } else {
    while (!parser.is_done()) {
      std::string_view piece;
      RETURN_IF_ERROR(read_piece(parser, piece));
      response.body.append(piece);
    }
  }
  if (!keep) close();
  return response;
}

std::string_view ClientResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

Client::Client(std::string host, int port, Duration timeout)
    : impl_(std::make_unique<Impl>(std::move(host), port, timeout)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<ClientResponse> Client::request(std::string_view method, std::string_view target, std::string_view body,
                                       const Headers& headers) {
  try {
    return impl_->exchange(method, target, body, headers, nullptr);
  } catch (const std::exception& failure) {
    return internal_error(std::string("HTTP client: ") + failure.what());
  }
}

Result<ClientResponse> Client::stream(std::string_view method, std::string_view target, std::string_view body,
                                      const Headers& headers, const std::function<bool(const SseEvent&)>& on_event) {
  try {
    return impl_->exchange(method, target, body, headers, &on_event);
  } catch (const std::exception& failure) {
    return internal_error(std::string("HTTP client: ") + failure.what());
  }
}

void Client::close() { impl_->close(); }

}  // namespace strata::http
