#include "serve/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "raw_socket.h"
#include "serve/http/client.h"

namespace strata::http {
namespace {

using namespace std::chrono_literals;
using test::RawSocket;

// A flag that another thread sets.
class Signal {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  bool wait(Duration limit = 3s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

class CountingObserver final : public Observer {
 public:
  void on_connection_opened() override { ++open; }
  void on_connection_closed() override { --open; }
  void on_request(const std::string& route, int status, double, size_t, size_t bytes_out) override {
    const std::lock_guard lock(mutex);
    seen.push_back(route + " " + std::to_string(status));
    bytes += bytes_out;
  }
  size_t requests() {
    const std::lock_guard lock(mutex);
    return seen.size();
  }
  std::atomic<int> open{0};
  std::mutex mutex;
  std::vector<std::string> seen;
  size_t bytes = 0;
};

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::kOff);
    options_.port = 0;
  }
  void TearDown() override { server_.reset(); }

  void add(std::string method, std::string pattern, Handler handler, Scope scope = Scope::kInfer) {
    routes_.push_back({std::move(method), std::move(pattern), scope, std::move(handler)});
  }
  void start() {
    add("POST", "/echo", [](Request&& request, std::shared_ptr<Responder> responder) {
      Response response;
      response.content_type = "text/plain";
      response.body = request.body;
      responder->send(std::move(response));
    });
    hooks_.observer = &observer_;
    server_ = std::make_unique<HttpServer>(options_, routes_, hooks_);
    const Status started = server_->start();
    ASSERT_TRUE(started.ok()) << started.message();
  }
  Client client(Duration limit = 5s) const { return Client("127.0.0.1", server_->port(), limit); }
  int status_of(const std::string& raw) const {
    RawSocket socket(server_->port());
    socket.send(raw);
    return status_in(socket.read("\r\n\r\n"));
  }
  static int status_in(const std::string& answer) {
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
  }

  CountingObserver observer_;
  ServerOptions options_;
  ServerHooks hooks_;
  std::vector<Route> routes_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ServerTest, AnswersManyRequestsOnOneConnection) {
  start();
  Client to_server = client();
  for (int i = 0; i < 50; ++i) {
    const auto answer = to_server.request("POST", "/echo", "body " + std::to_string(i));
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "body " + std::to_string(i));
  }
  EXPECT_EQ(server_->open_connections(), 1);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start();
  RawSocket socket(server_->port());
  std::string both;
  for (const char* body : {"one", "two"})
    both += std::string("POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\n") + body;
  socket.send(both);
  const std::string answer = socket.read("two");
  EXPECT_LT(answer.find("one"), answer.find("two"));
  EXPECT_NE(answer.find("two"), std::string::npos);
}

// What comes after pipelined requests of the same length is not taken for one of them.
TEST_F(ServerTest, AnswersWhatFollowsPipelinedRequests) {
  start();
  RawSocket socket(server_->port());
  const auto request = [](const std::string& body) {
    return "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\n" + body;
  };
  socket.send(request("one") + request("two"));
  socket.read("two");
  for (const char* body : {"six", "ten"}) {
    socket.send(request(body));
    EXPECT_NE(socket.read(body).find(body), std::string::npos) << body;
  }
}

TEST_F(ServerTest, EchoesTheRequestIdOrMakesOne) {
  start();
  Client to_server = client();
  auto answer = to_server.request("POST", "/echo", "x", {{"X-Request-Id", "abc-1"}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->header("x-request-id"), "abc-1");
  answer = to_server.request("POST", "/echo", "x", {{"X-Request-Id", std::string(500, 'a')}});
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->header("x-request-id").starts_with("req-"));
  EXPECT_EQ(answer->header("x-request-id").size(), 20u);
}

TEST_F(ServerTest, StreamsChunksFromAnotherThread) {
  std::jthread writer;
  Signal assigned;
  add("GET", "/stream", [&writer, &assigned](Request&&, std::shared_ptr<Responder> responder) {
    Response head;
    head.content_type = "text/event-stream";
    responder->start(std::move(head));
    writer = std::jthread([responder] {
      for (int i = 0; i < 100; ++i) responder->write(sse_frame(std::to_string(i)));
      responder->write(sse_frame("two\nlines", "named"));
      responder->finish();
    });
    assigned.set();
  });
  start();
  std::vector<SseEvent> events;
  Client to_server = client();
  const auto answer = to_server.stream("GET", "/stream", {}, {}, [&events](const SseEvent& event) {
    events.push_back(event);
    return true;
  });
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  ASSERT_TRUE(assigned.wait());
  ASSERT_EQ(events.size(), 101u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(events[static_cast<size_t>(i)].data, std::to_string(i));
  EXPECT_EQ(events[100].event, "named");
  EXPECT_EQ(events[100].data, "two\nlines");
  EXPECT_TRUE(to_server.request("POST", "/echo", "still open").ok());
  EXPECT_EQ(server_->open_connections(), 1);
}

TEST_F(ServerTest, ServesHttp10WithoutChunks) {
  add("GET", "/stream", [](Request&&, std::shared_ptr<Responder> responder) {
    responder->start({});
    responder->write("plain");
    responder->finish();
  });
  start();
  RawSocket socket(server_->port());
  socket.send("GET /stream HTTP/1.0\r\n\r\n");
  const std::string answer = socket.read();
  EXPECT_TRUE(answer.ends_with("\r\n\r\nplain")) << answer;
  EXPECT_TRUE(socket.closed_by_peer());
}

TEST_F(ServerTest, HeadHasNoBody) {
  add("GET", "/health", [](Request&&, std::shared_ptr<Responder> responder) {
    Response response;
    response.body = "{}";
    responder->send(std::move(response));
  });
  start();
  RawSocket socket(server_->port());
  socket.send("HEAD /health HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string answer = socket.read();
  EXPECT_EQ(status_in(answer), 200);
  EXPECT_NE(answer.find("Content-Length: 2"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, NoticesAClientThatLeavesMidStream) {
  Signal closed;
  std::shared_ptr<Responder> held;
  add("GET", "/stream", [&](Request&&, std::shared_ptr<Responder> responder) {
    responder->on_close([&closed] { closed.set(); });
    responder->start({});
    responder->write("first");
    held = std::move(responder);
  });
  start();
  RawSocket socket(server_->port());
  socket.send("GET /stream HTTP/1.1\r\n\r\n");
  EXPECT_NE(socket.read("first").find("first"), std::string::npos);
  socket.close();
  EXPECT_TRUE(closed.wait());
  held->write("into the void");
  held->finish();
  held.reset();
}

TEST_F(ServerTest, NoticesAClientThatLeavesBeforeTheAnswer) {
  Signal closed, arrived;
  std::shared_ptr<Responder> held;
  add("GET", "/wait", [&](Request&&, std::shared_ptr<Responder> responder) {
    responder->on_close([&closed] { closed.set(); });
    held = std::move(responder);
    arrived.set();
  });
  start();
  {
    RawSocket socket(server_->port());
    socket.send("GET /wait HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(arrived.wait());
  }
  EXPECT_TRUE(closed.wait());
  held.reset();
}

TEST_F(ServerTest, AnswersAClientThatHasSentAllItWillSend) {
  add("GET", "/long", [](Request&&, std::shared_ptr<Responder> responder) {
    Response response;
    response.body.assign(8 << 20, 'x');
    responder->send(std::move(response));
  });
  start();
  RawSocket socket(server_->port());
  socket.send("GET /long HTTP/1.1\r\n\r\n");
  socket.shut_write();
  EXPECT_GT(socket.read().size(), size_t{8} << 20);
  EXPECT_TRUE(socket.closed_by_peer());
  server_->stop();
  ASSERT_EQ(observer_.requests(), 1u);
  EXPECT_EQ(observer_.seen[0], "/long 200");
}

TEST_F(ServerTest, AnOnCloseThatComesLateRunsAtOnce) {
  Signal closed, arrived;
  std::shared_ptr<Responder> held;
  add("GET", "/wait", [&](Request&&, std::shared_ptr<Responder> responder) {
    held = std::move(responder);
    arrived.set();
  });
  start();
  {
    RawSocket socket(server_->port());
    socket.send("GET /wait HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(arrived.wait());
  }
  std::this_thread::sleep_for(50ms);
  held->on_close([&closed] { closed.set(); });
  EXPECT_TRUE(closed.wait());
  held.reset();
}

TEST_F(ServerTest, ClosesAStreamWhoseClientDoesNotRead) {
  options_.max_backlog_bytes = 64 * 1024;
  Signal closed;
  add("GET", "/flood", [&closed](Request&&, std::shared_ptr<Responder> responder) {
    responder->on_close([&closed] { closed.set(); });
    responder->start({});
    for (int i = 0; i < 2000; ++i) responder->write(std::string(16 * 1024, 'x'));
  });
  start();
  RawSocket socket(server_->port());
  socket.send("GET /flood HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(closed.wait());
}

TEST_F(ServerTest, ClosesAConnectionThatTakesNothing) {
  options_.write_timeout = 200ms;
  Signal closed;
  std::shared_ptr<Responder> held;
  add("GET", "/flood", [&](Request&&, std::shared_ptr<Responder> responder) {
    responder->on_close([&closed] { closed.set(); });
    Response big;
    big.body.assign(64 * 1024 * 1024, 'x');
    responder->send(std::move(big));
    held = std::move(responder);
  });
  start();
  RawSocket socket(server_->port());
  socket.send("GET /flood HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(closed.wait());
  held.reset();
}

TEST_F(ServerTest, ADroppedResponderIsAnswered) {
  add("GET", "/forgets", [](Request&&, std::shared_ptr<Responder>) {});
  add("GET", "/throws", [](Request&&, std::shared_ptr<Responder>) { throw std::bad_alloc(); });
  start();
  EXPECT_EQ(status_of("GET /forgets HTTP/1.1\r\n\r\n"), 500);
  EXPECT_EQ(status_of("GET /throws HTTP/1.1\r\n\r\n"), 500);
}

TEST_F(ServerTest, NamesTheRightStatusForEachBadRequest) {
  options_.max_body_bytes = 1000;
  options_.max_header_bytes = 64 * 1024;
  start();
  EXPECT_EQ(status_of("GET /nowhere HTTP/1.1\r\n\r\n"), 404);
  EXPECT_EQ(status_of("GET /echo HTTP/1.1\r\n\r\n"), 405);
  EXPECT_EQ(status_of("nonsense\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET echo HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/9.9\r\n\r\n"), 400);
  EXPECT_EQ(status_of("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 400);  // TLS to a plain port
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"), 413);
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"), 413);
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400);
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + std::string(4096, 'x')),
            413);
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"), 400);
  EXPECT_EQ(status_of("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n"), 431);
  std::string many = "GET /echo HTTP/1.1\r\n";
  for (int i = 0; i < 10'000; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431);
  std::string fields = "GET /echo HTTP/1.1\r\n";
  for (int i = 0; i < 300; ++i) fields += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_EQ(status_of(fields + "\r\n"), 431);
  EXPECT_TRUE(client().request("POST", "/echo", "fine").ok());
}

TEST_F(ServerTest, SaysWhichMethodsAreAllowed) {
  start();
  const auto answer = client().request("DELETE", "/echo");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 405);
  EXPECT_EQ(answer->header("allow"), "POST");
}

TEST_F(ServerTest, InvitesTheBodyOfACarefulClient) {
  start();
  RawSocket socket(server_->port());
  socket.send("POST /echo HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(status_in(socket.read("\r\n\r\n")), 100);
  socket.send("hello");
  EXPECT_TRUE(socket.read("hello").ends_with("hello"));
}

TEST_F(ServerTest, EndsRequestsThatTrickleIn) {
  options_.header_timeout = 200ms;
  options_.body_timeout = 200ms;
  options_.idle_timeout = 200ms;
  start();
  EXPECT_EQ(status_of("GET /echo HTT"), 408);
  EXPECT_EQ(status_of("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel"), 408);
  RawSocket silent(server_->port());
  EXPECT_EQ(silent.read(), "");
  EXPECT_TRUE(silent.closed_by_peer());
}

TEST_F(ServerTest, RefusesConnectionsOverTheLimit) {
  options_.max_connections = 2;
  start();
  Client first = client(), second = client();
  ASSERT_TRUE(first.request("POST", "/echo", "1").ok());
  ASSERT_TRUE(second.request("POST", "/echo", "2").ok());
  RawSocket third(server_->port());
  EXPECT_EQ(status_in(third.read("\r\n\r\n")), 503);
}

TEST_F(ServerTest, AsksTheAuthorizeHook) {
  hooks_.authorize = [](const Request& request, Scope) {
    if (request.header("authorization") == "Bearer key") return ok_status();
    return Status(Code::kUnauthenticated, "no key");
  };
  start();
  Client to_server = client();
  auto answer = to_server.request("POST", "/echo", "x");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 401);
  EXPECT_EQ(answer->header("www-authenticate"), "Bearer");
  answer = to_server.request("POST", "/echo", "x", {{"Authorization", "Bearer key"}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 200);
}

TEST_F(ServerTest, DrainFinishesRunningStreamsAndStopsAccepting) {
  Signal arrived;
  std::shared_ptr<Responder> held;
  add("GET", "/stream", [&](Request&&, std::shared_ptr<Responder> responder) {
    responder->start({});
    responder->write("first");
    held = std::move(responder);
    arrived.set();
  });
  start();
  const int port = server_->port();
  Client idle = client();
  ASSERT_TRUE(idle.request("POST", "/echo", "x").ok());
  RawSocket socket(port);
  socket.send("GET /stream HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(arrived.wait());
  server_->drain();
  EXPECT_FALSE(server_->wait_drained(100ms));
  EXPECT_EQ(server_->open_connections(), 1);
  EXPECT_FALSE(RawSocket(port).connected());
  held->write("last");
  held->finish();
  held.reset();
  const std::string answer = socket.read();
  EXPECT_NE(answer.find("last"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("0\r\n\r\n"));
  socket.close();
  EXPECT_TRUE(server_->wait_drained(3s));
}

TEST_F(ServerTest, StopClosesRunningStreams) {
  Signal arrived, closed;
  std::shared_ptr<Responder> held;
  add("GET", "/stream", [&](Request&&, std::shared_ptr<Responder> responder) {
    responder->on_close([&closed] { closed.set(); });
    responder->start({});
    held = std::move(responder);
    arrived.set();
  });
  start();
  RawSocket socket(server_->port());
  socket.send("GET /stream HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(arrived.wait());
  server_->stop();
  EXPECT_TRUE(closed.wait());
  held->write("after the end");
  held->finish();
  held.reset();
}

TEST_F(ServerTest, TellsTheObserver) {
  start();
  {
    Client to_server = client();
    ASSERT_TRUE(to_server.request("POST", "/echo", "x").ok());
    ASSERT_TRUE(to_server.request("GET", "/nowhere").ok());
    EXPECT_EQ(observer_.open, 1);
    // The client has its answer a moment before the server hears that the write is through.
    for (int i = 0; i < 1000 && observer_.requests() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  server_->stop();
  EXPECT_EQ(observer_.open, 0);
  ASSERT_EQ(observer_.seen.size(), 2u);
  EXPECT_EQ(observer_.seen[0], "/echo 200");
  EXPECT_EQ(observer_.seen[1], " 404");
  EXPECT_GT(observer_.bytes, 100u);
}

TEST_F(ServerTest, SaysWhyItCannotListen) {
  start();
  ServerOptions taken;
  taken.port = server_->port();
  HttpServer second(taken, {});
  EXPECT_EQ(second.start().code(), Code::kUnavailable);
  ServerOptions absurd;
  absurd.port = 70000;
  HttpServer third(absurd, {});
  EXPECT_EQ(third.start().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace strata::http
