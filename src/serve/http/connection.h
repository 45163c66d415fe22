// One client connection (private to this folder: it includes the network library). A small state machine on its own
// strand: read a request, hand it to its handler, carry the answer back, start again. One read is always outstanding,
// so that a client who leaves is noticed at once, and every wait has a deadline.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "serve/http/server.h"

namespace strata::http {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;

class Connection;

// What connections share. Shared: the server, its connections and every responder that is still alive hold it.
struct ServerCore {
  ServerCore(ServerOptions server_options, std::vector<Route> routes, ServerHooks server_hooks)
      : options(std::move(server_options)), table(std::move(routes)), hooks(std::move(server_hooks)) {}

  const ServerOptions options;
  const RouteTable table;
  const ServerHooks hooks;
  asio::io_context io;

  std::atomic<bool> draining{false};
  std::shared_mutex gate;  // held shared while another thread posts to `io`
  bool open = true;        // guarded by gate; false once the threads are gone

  std::mutex mutex;
  std::condition_variable one_left;
  std::unordered_map<Connection*, std::weak_ptr<Connection>> connections;  // guarded by mutex
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, asio::ip::tcp::socket socket);
  ~Connection();

  void start();
  void start_rejecting();  // answers with 503 at once: there are too many connections
  void close_if_idle();    // for drain
  void close_now();        // for stop

  // Runs `task` on the strand, at once when already there; dropped when the server has stopped.
  void dispatch(std::function<void()> task);
  // The same, always after everything that is queued already.
  void post(std::function<void()> task);

  // For the responder of request number `generation`; on the strand. Ignored when that request is over.
  void send(uint64_t generation, Response response);
  void start_stream(uint64_t generation, Response head);
  void write(uint64_t generation, std::string bytes);
  void finish(uint64_t generation);
  void abandon(uint64_t generation);
  void on_close(uint64_t generation, std::function<void()> callback);

 private:
  enum class State : uint8_t { kReading, kHandling, kSending, kStreaming, kLingering, kClosed };

  void next_request();
  void read();
  void on_read(boost::system::error_code error, size_t size);
  void parse();
  bool accept_header();
  void handle_request();
  void call_handler(const Route& route, Request&& request, std::shared_ptr<Responder> responder);
  void reject(int status, const Status& reason, Headers headers = {});
  void flush();
  void on_flushed(boost::system::error_code error, size_t size);
  void end_request();
  void client_left();
  void linger();
  void close();
  void leave_server();
  void set_deadline(Duration limit);
  void on_deadline();
  void report(int status);
  bool current(uint64_t generation) const { return generation == generation_ && state_ != State::kClosed; }
  bool answering() const {
    return state_ == State::kHandling || state_ == State::kStreaming || state_ == State::kSending;
  }
  template <class Message>
  void set_fields(Message& message, const Response& response);

  std::shared_ptr<ServerCore> core_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer deadline_;
  boost::beast::flat_buffer buffer_;
  // Where a read lands. Not in buffer_: a request that is taken out of it while a read is under way moves its end.
  std::array<std::byte, 16 * 1024> incoming_;
  std::optional<beast_http::request_parser<beast_http::string_body>> parser_;

  State state_ = State::kReading;
  bool reading_ = false;  // a read is outstanding
  bool started_ = false;  // bytes of the current request have come
  bool header_seen_ = false;
  bool keep_alive_ = true;
  bool unread_ = false;     // the request was refused before all of it had come
  bool head_ = false;       // the answer to HEAD has no body
  bool chunked_ = true;     // false for HTTP/1.0: the stream ends with the connection
  bool writing_ = false;    // a write is outstanding
  bool finishing_ = false;  // finish() was called
  uint64_t generation_ = 0;

  std::string pending_;  // stream bytes not yet handed to the system
  std::string sending_;  // stream bytes being written
  std::optional<beast_http::response<beast_http::string_body>> full_;
  std::optional<beast_http::response<beast_http::empty_body>> head_only_;
  std::optional<beast_http::response_serializer<beast_http::empty_body>> head_writer_;
  std::function<void()> on_close_;

  // Of the current request, for the log and the metrics.
  std::string method_;
  std::string path_;
  std::string request_id_;
  const Route* route_ = nullptr;
  TimePoint began_{};
  size_t bytes_in_ = 0;
  size_t bytes_out_ = 0;
  int status_ = 0;
};

}  // namespace strata::http
