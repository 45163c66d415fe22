// The whole server over loopback: a real engine on a scripted model.
#include "serve/api/api_server.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../http/raw_socket.h"
#include "base/log.h"
#include "scripted_model.h"
#include "serve/http/client.h"

namespace strata::api {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;
using test::ScriptedModel;

class ApiServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::kOff);
    options_.http.port = 0;
  }
  void TearDown() override {
    if (server_) server_->stop();
  }
  void start(int context = 1024, const AdmissionOptions& admission = {}) {
    model_ = std::make_unique<ScriptedModel>(metrics_, "story", context, admission);
    model_->host.names.push_back("alias/of-story");
    server_ = std::make_unique<ApiServer>(options_, metrics_);
    ASSERT_TRUE(server_->start().ok());
    ASSERT_TRUE(server_->add_model(model_->host).ok());
  }
  http::Client client() const { return http::Client("127.0.0.1", server_->port(), 10s); }

  http::ClientResponse call(std::string_view method, std::string_view path, const Json& body = {},
                            const http::Headers& headers = {}) {
    http::Client to_server = client();
    const std::string text = body.is_null() ? std::string() : body.dump();
    auto answer = to_server.request(method, path, text, headers);
    EXPECT_TRUE(answer.ok()) << answer.status().message();
    return answer.ok() ? *answer : http::ClientResponse{};
  }
  Json post(std::string_view path, const Json& body, int expected_status = 200) {
    const http::ClientResponse answer = call("POST", path, body);
    EXPECT_EQ(answer.status, expected_status) << answer.body;
    return Json::parse(answer.body, nullptr, false);
  }
  Json chat_body() const {
    return {{"model", "story"},
            {"temperature", 0},
            {"max_tokens", 20},
            {"messages", {{{"role", "user"}, {"content", "tell me"}}}}};
  }
  Json completion_body() const {
    return {{"model", "story"}, {"temperature", 0}, {"max_tokens", 20}, {"prompt", "once"}};
  }
  // The error object, after checking its shape.
  Json error_of(std::string_view path, const Json& body, int status) {
    const Json answer = post(path, body, status);
    EXPECT_TRUE(answer.contains("error") && answer["error"].contains("message") && answer["error"].contains("type") &&
                answer["error"].contains("param") && answer["error"].contains("code"))
        << answer;
    return answer.contains("error") ? answer["error"] : Json::object();
  }
  template <class Condition>
  bool eventually(Condition condition) const {
    for (int i = 0; i < 300; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  ApiOptions options_;
  Metrics metrics_;
  std::unique_ptr<ScriptedModel> model_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(ApiServerTest, CompletesGreedily) {
  start();
  const Json answer = post("/v1/completions", completion_body());
  // The prompt is <s>once: its last token stands at position 4, so the story goes on from there.
  EXPECT_EQ(answer["choices"][0]["text"], std::string(test::ScriptedRunner::kStory.substr(4, 20)));
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 20);
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("cmpl-"));
}

TEST_F(ApiServerTest, ChatsWithTheTemplate) {
  start();
  const Json answer = post("/v1/chat/completions", chat_body());
  EXPECT_EQ(answer["choices"][0]["message"]["content"].get<std::string>().size(), 20u);
  const Json tokens = post("/tokenize", {{"messages", chat_body()["messages"]}});
  EXPECT_EQ(answer["usage"]["prompt_tokens"], tokens["count"]);
  EXPECT_EQ(post("/detokenize", {{"tokens", tokens["tokens"]}})["prompt"],
            "<|im_start|>user\ntell me<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(ApiServerTest, StreamsTheSameText) {
  start();
  Json body = chat_body();
  const std::string whole = post("/v1/chat/completions", body)["choices"][0]["message"]["content"];
  body["stream"] = true;
  std::string text, last;
  http::Client to_server = client();
  const auto answer =
      to_server.stream("POST", "/v1/chat/completions", body.dump(), {}, [&](const http::SseEvent& event) {
        last = event.data;
        if (event.data == "[DONE]") return true;
        const Json chunk = Json::parse(event.data);
        EXPECT_FALSE(chunk.contains("usage"));
        if (!chunk["choices"].empty()) text += chunk["choices"][0]["delta"].value("content", "");
        return true;
      });
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->header("content-type"), "text/event-stream");
  EXPECT_EQ(text, whole);
  EXPECT_EQ(last, "[DONE]");
}

TEST_F(ApiServerTest, AnswersSeveralPromptsAndChoices) {
  start();
  Json body = completion_body();
  body["prompt"] = Json::array({"a", "bb", {3 + 'c', 3 + 'c', 3 + 'c'}});
  body["n"] = 2;
  body["echo"] = true;
  const Json answer = post("/v1/completions", body);
  ASSERT_EQ(answer["choices"].size(), 6u);
  const char* prompts[] = {"a", "bb", "ccc"};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_TRUE(answer["choices"][i]["text"].get<std::string>().starts_with(prompts[i / 2])) << i;
  }
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 2 + 3 + 3);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 6 * 20);
}

TEST_F(ApiServerTest, StopsAtAStopString) {
  start();
  Json body = completion_body();
  body["max_tokens"] = 100;
  body["stop"] = Json::array({"hill"});
  const Json answer = post("/v1/completions", body);
  EXPECT_EQ(answer["choices"][0]["text"], "old fox went over the ");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
}

TEST_F(ApiServerTest, EchoWithoutGenerationGivesPromptLogprobs) {
  start();
  Json body = completion_body();
  body["max_tokens"] = 0;
  body["echo"] = true;
  body["logprobs"] = 2;
  const Json answer = post("/v1/completions", body);
  EXPECT_EQ(answer["choices"][0]["text"], "once");
  const Json& logprobs = answer["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json::array({"<s>", "o", "n", "c", "e"}));
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_LT(logprobs["token_logprobs"][1], 0);
  EXPECT_EQ(logprobs["text_offset"], Json::array({0, 0, 1, 2, 3}));
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
}

TEST_F(ApiServerTest, TheSameSeedGivesTheSameText) {
  start();
  Json body = completion_body();
  body["temperature"] = 1.5;
  body["seed"] = 11;
  const Json first = post("/v1/completions", body)["choices"][0]["text"];
  EXPECT_EQ(post("/v1/completions", body)["choices"][0]["text"], first);
  body["seed"] = 12;
  EXPECT_NE(post("/v1/completions", body)["choices"][0]["text"], first);
}

TEST_F(ApiServerTest, Predicts) {
  start();
  Json body = {{"input", "once"}, {"parameters", {{"temperature", 0}, {"max_tokens", 8}}}};
  const Json answer = post("/v1/models/alias/of-story/predict", body);
  EXPECT_EQ(answer["output"], "old fox ");
  EXPECT_EQ(answer["model"], "alias/of-story");
  body["stream"] = true;
  std::string text;
  std::vector<std::string> kinds;
  http::Client to_server = client();
  const auto streamed =
      to_server.stream("POST", "/v1/models/story/predict", body.dump(), {}, [&](const http::SseEvent& event) {
        const Json data = Json::parse(event.data);
        kinds.push_back(event.event);
        if (event.event == "progress") {
          text += data["token"];
          EXPECT_GT(data["probability"], 0.0);
          EXPECT_LE(data["probability"], 1.0);
        } else {
          EXPECT_EQ(data["usage"]["completion_tokens"], 8);
        }
        return true;
      });
  ASSERT_TRUE(streamed.ok()) << streamed.status().message();
  EXPECT_EQ(text, "old fox ");
  EXPECT_EQ(kinds.back(), "done");
}

TEST_F(ApiServerTest, ListsModelsUnderAllNames) {
  start();
  const Json list = Json::parse(call("GET", "/v1/models").body);
  ASSERT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(list["data"][0]["id"], "story");
  EXPECT_EQ(list["data"][1]["id"], "alias/of-story");
  EXPECT_EQ(Json::parse(call("GET", "/v1/models/alias/of-story").body)["id"], "alias/of-story");
  const http::ClientResponse unknown = call("GET", "/v1/models/none");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(Json::parse(unknown.body)["error"]["code"], "model_not_found");
}

TEST_F(ApiServerTest, RefusesTwoModelsOfOneName) {
  start();
  EXPECT_EQ(server_->add_model(model_->host).code(), Code::kInvalidArgument);
}

TEST_F(ApiServerTest, ErrorsNameTheField) {
  start(100);
  Json body = chat_body();
  body["model"] = "nobody";
  Json error = error_of("/v1/chat/completions", body, 404);
  EXPECT_EQ(error["code"], "model_not_found");
  EXPECT_EQ(error["param"], "model");
  body = completion_body();
  body["prompt"] = std::string(200, 'x');
  error = error_of("/v1/completions", body, 400);
  EXPECT_EQ(error["param"], "prompt");
  EXPECT_NE(error["message"].get<std::string>().find("100"), std::string::npos) << error;
  EXPECT_NE(error["message"].get<std::string>().find("201"), std::string::npos) << error;
  body["prompt"] = "short";
  body["max_tokens"] = 99;
  error = error_of("/v1/completions", body, 400);
  EXPECT_EQ(error["param"], "max_tokens");
  EXPECT_NE(error["message"].get<std::string>().find("99"), std::string::npos) << error;
  body["prompt"] = std::string(5000, 'x');
  error = error_of("/v1/completions", body, 400);
  EXPECT_NE(error["message"].get<std::string>().find("at least"), std::string::npos) << error;
  body = completion_body();
  body["prompt"] = Json::array({1, 259});
  EXPECT_EQ(error_of("/v1/completions", body, 400)["param"], "prompt");
  body = completion_body();
  body["logit_bias"] = {{"259", 1}};
  EXPECT_EQ(error_of("/v1/completions", body, 400)["param"], "logit_bias");
  body = completion_body();
  body["stop_token_ids"] = {300};
  EXPECT_EQ(error_of("/v1/completions", body, 400)["param"], "stop_token_ids");
  EXPECT_EQ(error_of("/detokenize", {{"tokens", {259}}}, 400)["param"], "tokens");
  EXPECT_EQ(error_of("/v1/embeddings", {{"input", "x"}}, 400)["param"], "model");
  EXPECT_EQ(error_of("/v1/rerank", {{"query", "x"}, {"documents", {"y"}}}, 400)["param"], "model");
  EXPECT_EQ(error_of("/v1/nothing", {}, 404)["type"], "invalid_request_error");
  EXPECT_EQ(error_of("/health", {}, 405)["type"], "invalid_request_error");
}

TEST_F(ApiServerTest, DefaultsLeaveRoomForTheRestOfTheContext) {
  start(51);
  Json body = chat_body();
  body.erase("max_tokens");
  body["messages"][0]["content"] = "x";
  EXPECT_EQ(error_of("/v1/chat/completions", body, 400)["param"], "messages");
  start(100);
  const Json answer = post("/v1/chat/completions", body);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["total_tokens"], 100);
}

TEST_F(ApiServerTest, WithoutATemplateChatSaysSo) {
  start();
  ScriptedModel plain(metrics_, "plain");
  plain.host.chat_template = nullptr;
  ASSERT_TRUE(server_->add_model(plain.host).ok());
  Json body = chat_body();
  body["model"] = "plain";
  EXPECT_EQ(error_of("/v1/chat/completions", body, 400)["param"], "messages");
  body.erase("model");
  EXPECT_EQ(error_of("/v1/chat/completions", body, 400)["param"], "model");  // which of the two?
  server_->stop();
}

TEST_F(ApiServerTest, AFailedRequestIsAnErrorAndAFailedStreamEndsWithOne) {
  start();
  model_->control.broken = true;
  EXPECT_EQ(error_of("/v1/completions", completion_body(), 500)["message"], "the device is gone");
  model_->control.broken = false;
  Json body = completion_body();
  body["stream"] = true;
  body["max_tokens"] = 500;
  body["ignore_eos"] = true;
  model_->control.step_ms = 2;
  std::vector<http::SseEvent> events;
  http::Client to_server = client();
  const auto streamed = to_server.stream("POST", "/v1/completions", body.dump(), {}, [&](const http::SseEvent& event) {
    events.push_back(event);
    model_->control.broken = true;
    return true;
  });
  ASSERT_TRUE(streamed.ok()) << streamed.status().message();
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(events.back().event, "error");
  EXPECT_EQ(Json::parse(events.back().data)["error"]["message"], "the device is gone");
}

TEST_F(ApiServerTest, ATimeoutBeforeTheFirstTokenIsA408) {
  start();
  model_->control.step_ms = 50;
  Json body = completion_body();
  body["timeout"] = 0.02;
  body["max_tokens"] = 500;
  EXPECT_EQ(error_of("/v1/completions", body, 408)["code"], "timeout");
}

TEST_F(ApiServerTest, AClientThatLeavesIsCancelledWithinAStep) {
  start();
  model_->control.step_ms = 5;
  Json body = completion_body();
  body["stream"] = true;
  body["ignore_eos"] = true;
  body["max_tokens"] = 1000;
  body["n"] = 4;
  const std::string text = body.dump();
  test::RawSocket socket(server_->port());
  socket.send("POST /v1/completions HTTP/1.1\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
  EXPECT_NE(socket.read("data: ").find("200 OK"), std::string::npos);
  EXPECT_TRUE(eventually([this] { return model_->engine->stats().running > 0; }));
  const int before = model_->control.steps;
  socket.close();
  ASSERT_TRUE(eventually([this] { return model_->engine->idle(); }));
  EXPECT_LE(model_->control.steps - before,
            6);  // 30 ms of steps: the notice, a step under way, and the scheduler's share
}

TEST_F(ApiServerTest, AFullQueueIs429WithRetryAfter) {
  start(1024, {.max_waiting = 1});
  model_->control.step_ms = 30;
  Json body = completion_body();
  body["prompt"] = Json::array();
  for (int i = 0; i < 64; ++i) body["prompt"].push_back("p" + std::to_string(i));
  const http::ClientResponse answer = call("POST", "/v1/completions", body);
  EXPECT_EQ(answer.status, 429) << answer.body;
  EXPECT_GE(std::stoi(std::string(answer.header("retry-after"))), 1);
  EXPECT_TRUE(eventually([this] { return model_->engine->idle(); }));
}

TEST_F(ApiServerTest, ASlowQueueIs429WithTheTimeUntilThereIsRoom) {
  start(1024, {.max_queue = std::chrono::milliseconds(100)});
  model_->control.step_ms = 20;
  Json body = completion_body();
  body["prompt"] = std::string(500, 'x');
  EXPECT_EQ(call("POST", "/v1/completions", body).status, 200);  // now it is known what prompts cost
  body["prompt"] = Json::array();
  for (int i = 0; i < 64; ++i) body["prompt"].push_back(std::to_string(i) + std::string(900, static_cast<char>('a' + i % 26)));
  const http::ClientResponse answer = call("POST", "/v1/completions", body);
  EXPECT_EQ(answer.status, 429) << answer.body;
  EXPECT_EQ(Json::parse(answer.body)["error"]["code"], "rate_limit_exceeded");
  EXPECT_GE(std::stoi(std::string(answer.header("retry-after"))), 1);
  EXPECT_TRUE(eventually([this] { return model_->engine->idle(); }));
  const std::string metrics = call("GET", "/metrics").body;
  EXPECT_NE(metrics.find("strata_requests_shed_total{model_name=\"story\",reason=\"queue_slow\"} 1"), std::string::npos)
      << metrics;
  EXPECT_EQ(call("POST", "/v1/completions", completion_body()).status, 200);
}

TEST_F(ApiServerTest, KeysProtectEverythingButProbes) {
  options_.api_keys = {"secret", "other"};
  start();
  EXPECT_EQ(call("GET", "/health").status, 200);
  EXPECT_EQ(call("GET", "/metrics").status, 200);
  EXPECT_EQ(call("GET", "/v1/models").status, 401);
  EXPECT_EQ(call("GET", "/v1/models", {}, {{"Authorization", "Bearer wrong"}}).status, 401);
  EXPECT_EQ(call("GET", "/v1/models", {}, {{"Authorization", "Basic secret"}}).status, 401);
  EXPECT_EQ(call("GET", "/v1/models", {}, {{"Authorization", "Bearer other"}}).status, 200);
  const http::ClientResponse refused = call("POST", "/v1/completions", completion_body());
  EXPECT_EQ(Json::parse(refused.body)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(call("POST", "/v1/completions", completion_body(), {{"Authorization", "Bearer secret"}}).status, 200);
}

TEST_F(ApiServerTest, ReadyOnlyWithAModel) {
  server_ = std::make_unique<ApiServer>(options_, metrics_);
  ASSERT_TRUE(server_->start().ok());
  EXPECT_EQ(call("GET", "/health").status, 200);
  EXPECT_EQ(call("GET", "/ready").status, 503);
  EXPECT_EQ(error_of("/v1/completions", completion_body(), 503)["code"], "unavailable");
  model_ = std::make_unique<ScriptedModel>(metrics_, "story");
  ASSERT_TRUE(server_->add_model(model_->host).ok());
  EXPECT_EQ(call("GET", "/ready").status, 200);
}

TEST_F(ApiServerTest, MetricsCarryTheContractsNames) {
  start();
  post("/v1/completions", completion_body());
  EXPECT_TRUE(eventually([this] { return model_->engine->idle(); }));
  const std::string text = call("GET", "/metrics").body;
  for (const char* line :
       {"vllm:num_requests_running{model_name=\"story\"} 0", "vllm:num_requests_waiting{model_name=\"story\"} 0",
        "vllm:kv_cache_usage_perc{model_name=\"story\"} 0", "vllm:prompt_tokens_total{model_name=\"story\"} 5",
        "vllm:generation_tokens_total{model_name=\"story\"} 20", "vllm:num_preemptions_total{model_name=\"story\"} 0",
        "vllm:request_success_total{finished_reason=\"length\",model_name=\"story\"} 1",
        "vllm:time_to_first_token_seconds_count{model_name=\"story\"} 1",
        "vllm:inter_token_latency_seconds_count{model_name=\"story\"} 19",
        "vllm:e2e_request_latency_seconds_count{model_name=\"story\"} 1",
        "vllm:request_queue_time_seconds_count{model_name=\"story\"} 1",
        "strata_expert_tokens_total{model_name=\"story\"} 24",
        "strata_http_requests_total{route=\"/v1/completions\",status=\"200\"} 1"}) {
    EXPECT_NE(text.find(std::string("\n") + line + "\n"), std::string::npos) << line << "\n" << text;
  }
  for (const char* name :
       {"vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "strata_http_open_connections",
        "strata_expert_imbalance{layer=\"0\",model_name=\"story\"} 1.", "strata_process_cpu_seconds_total",
        "strata_process_resident_memory_bytes"}) {
    EXPECT_NE(text.find(name), std::string::npos) << name;
  }
}

TEST_F(ApiServerTest, DrainFinishesWhatRuns) {
  start();
  model_->control.step_ms = 5;
  Json body = completion_body();
  body["stream"] = true;
  body["max_tokens"] = 50;
  body["ignore_eos"] = true;
  http::Client to_server = client();
  std::string last;
  bool drained = false;
  const auto streamed = to_server.stream("POST", "/v1/completions", body.dump(), {}, [&](const http::SseEvent& event) {
    if (!drained) server_->drain();
    drained = true;
    last = event.data;
    return true;
  });
  ASSERT_TRUE(streamed.ok()) << streamed.status().message();
  EXPECT_EQ(last, "[DONE]");
  EXPECT_TRUE(server_->wait_drained(3s));
  EXPECT_FALSE(client().request("GET", "/health").ok());
}

TEST_F(ApiServerTest, ManyStreamsGetTheirOwnAnswers) {
  start();
  const auto text_of = [this](int seed) {
    Json body = completion_body();
    body["temperature"] = 1;
    body["seed"] = seed;
    body["stream"] = true;
    std::string text;
    http::Client to_server = client();
    const auto streamed =
        to_server.stream("POST", "/v1/completions", body.dump(), {}, [&](const http::SseEvent& event) {
          if (event.data != "[DONE]") text += Json::parse(event.data)["choices"][0].value("text", "");
          return true;
        });
    EXPECT_TRUE(streamed.ok()) << streamed.status().message();
    return text;
  };
  std::vector<std::string> alone, together(16);
  for (int seed = 0; seed < 16; ++seed) alone.push_back(text_of(seed));
  std::vector<std::jthread> threads;
  for (int seed = 0; seed < 16; ++seed) {
    threads.emplace_back([&, seed] { together[static_cast<size_t>(seed)] = text_of(seed); });
  }
  threads.clear();
  EXPECT_EQ(together, alone);
}

TEST_F(ApiServerTest, LoadsAndUnloadsAdapters) {
  start();
  const auto load = [&](const Json& body) { return call("POST", "/v1/load_lora_adapter", body); };
  const http::ClientResponse loaded = load({{"lora_name", "fox"}, {"lora_path", "skip/4"}});
  EXPECT_EQ(loaded.status, 200) << loaded.body;
  EXPECT_EQ(loaded.body, "Success: LoRA adapter 'fox' added successfully.");
  Json body = completion_body();
  const std::string bare = post("/v1/completions", body)["choices"][0]["text"];
  body["model"] = "fox";
  const Json answer = post("/v1/completions", body);
  EXPECT_EQ(answer["choices"][0]["text"], std::string(test::ScriptedRunner::kStory.substr(8, 20)));
  EXPECT_EQ(answer["model"], "fox");
  EXPECT_NE(answer["choices"][0]["text"], bare);
  Json chat = chat_body();
  chat["model"] = "fox";
  EXPECT_EQ(post("/v1/chat/completions", chat)["model"], "fox");
  EXPECT_EQ(post("/v1/models/fox/predict", {{"input", "once"}}).contains("error"), false);

  const Json models = Json::parse(call("GET", "/v1/models").body);
  ASSERT_EQ(models["data"].size(), 3u);
  EXPECT_EQ(models["data"][0]["parent"], nullptr);
  EXPECT_EQ(models["data"][2]["id"], "fox");
  EXPECT_EQ(models["data"][2]["parent"], "story");
  EXPECT_EQ(models["data"][2]["root"], "skip/4");
  EXPECT_EQ(Json::parse(call("GET", "/v1/models/fox").body), models["data"][2]);

  // Another one under the name: only when asked for, and never with what the old one left in the cache.
  EXPECT_NE(error_of("/v1/load_lora_adapter", {{"lora_name", "fox"}, {"lora_path", "skip/9"}}, 400)["message"]
                .get<std::string>()
                .find("already been loaded"),
            std::string::npos);
  EXPECT_EQ(load({{"lora_name", "fox"}, {"lora_path", "skip/9"}, {"load_inplace", true}}).status, 200);
  EXPECT_EQ(post("/v1/completions", body)["choices"][0]["text"],
            std::string(test::ScriptedRunner::kStory.substr(13, 20)));

  const http::ClientResponse gone = call("POST", "/v1/unload_lora_adapter", {{"lora_name", "fox"}});
  EXPECT_EQ(gone.status, 200) << gone.body;
  EXPECT_EQ(gone.body, "Success: LoRA adapter 'fox' removed successfully.");
  EXPECT_EQ(error_of("/v1/completions", body, 404)["code"], "model_not_found");
  EXPECT_EQ(error_of("/v1/unload_lora_adapter", {{"lora_name", "fox"}}, 404)["param"], "lora_name");
}

TEST_F(ApiServerTest, RefusesAdaptersThatItCannotOffer) {
  start();
  const auto refused = [&](const Json& body, int status) { return error_of("/v1/load_lora_adapter", body, status); };
  EXPECT_EQ(refused({{"lora_path", "skip/1"}}, 400)["param"], "lora_name");
  EXPECT_EQ(refused({{"lora_name", "a"}}, 400)["param"], "lora_path");
  EXPECT_EQ(refused({{"lora_name", "story"}, {"lora_path", "skip/1"}}, 400)["param"], "lora_name");
  EXPECT_EQ(refused({{"lora_name", "a"}, {"lora_path", "nowhere"}}, 404)["param"], "lora_path");
  EXPECT_EQ(refused({{"lora_name", "a"}, {"lora_path", "broken"}}, 400)["param"], "lora_path");
  EXPECT_EQ(refused({{"lora_name", "a"}, {"lora_path", "skip/1"}, {"base_model_name", "other"}}, 404)["param"], "model");
  for (const char* name : {"a", "b"})
    EXPECT_EQ(call("POST", "/v1/load_lora_adapter", {{"lora_name", name}, {"lora_path", "skip/1"}}).status, 200);
  EXPECT_NE(refused({{"lora_name", "c"}, {"lora_path", "skip/1"}}, 400)["message"].get<std::string>().find(
                "--max-adapters"),
            std::string::npos);
  ScriptedModel closed(metrics_, "closed");
  closed.host.load_adapter = nullptr;
  ASSERT_TRUE(server_->add_model(closed.host).ok());
  const Json why = refused({{"lora_name", "d"}, {"lora_path", "skip/1"}, {"base_model_name", "closed"}}, 400);
  EXPECT_NE(why["message"].get<std::string>().find("takes no adapters"), std::string::npos) << why;
  server_->stop();
  server_.reset();
}

// A stream goes on with its adapter when that is unloaded, and the adapter is gone with it.
TEST_F(ApiServerTest, UnloadingWaitsForNobodyAndBreaksNobody) {
  start();
  model_->control.step_ms = 5;
  ASSERT_EQ(call("POST", "/v1/load_lora_adapter", {{"lora_name", "fox"}, {"lora_path", "skip/4"}}).status, 200);
  Json body = completion_body();
  body["model"] = "fox";
  body["max_tokens"] = 60;
  std::string text;
  std::thread running([&] { text = post("/v1/completions", body)["choices"][0]["text"]; });
  ASSERT_TRUE(eventually([&] { return model_->control.steps > 3; }));
  EXPECT_EQ(call("POST", "/v1/unload_lora_adapter", {{"lora_name", "fox"}}).status, 200);
  EXPECT_EQ(call("POST", "/v1/load_lora_adapter", {{"lora_name", "fox"}, {"lora_path", "skip/20"}}).status, 200);
  running.join();
  std::string want;
  for (size_t i = 0; i < 60; ++i)
    want += test::ScriptedRunner::kStory[(8 + i) % test::ScriptedRunner::kStory.size()];
  EXPECT_EQ(text, want);
}

}  // namespace
}  // namespace strata::api
