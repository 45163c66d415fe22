// Embeddings and reranking over loopback: a real embedding engine on a scripted model.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "../http/raw_socket.h"
#include "base/log.h"
#include "scripted_embedder.h"
#include "serve/api/api_server.h"
#include "serve/http/client.h"

namespace strata::api {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;
using test::ByteTokenizer;
using test::ScriptedEmbedding;

class EmbeddingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::kOff);
    options_.http.port = 0;
  }
  void TearDown() override {
    if (server_) server_->stop();
  }
  void start(const EmbeddingOptions& options = {}) {
    vectors_ = std::make_unique<ScriptedEmbedding>(metrics_, "vectors", false, options);
    judge_ = std::make_unique<ScriptedEmbedding>(metrics_, "judge", true, options);
    story_ = std::make_unique<test::ScriptedModel>(metrics_, "story");
    server_ = std::make_unique<ApiServer>(options_, metrics_);
    ASSERT_TRUE(server_->start().ok());
    for (const ModelHost& host : {vectors_->host, judge_->host, story_->host})
      ASSERT_TRUE(server_->add_model(host).ok());
  }
  Json call(std::string_view method, std::string_view path, const Json& body, int expected = 200) {
    http::Client client("127.0.0.1", server_->port(), 20s);
    const auto answer = client.request(method, path, body.is_null() ? std::string() : body.dump(), {});
    EXPECT_TRUE(answer.ok()) << answer.status().message();
    if (!answer.ok()) return {};
    EXPECT_EQ(answer->status, expected) << answer->body;
    return Json::parse(answer->body, nullptr, false);
  }
  Json embed(Json body, int expected = 200) {
    if (!body.contains("model")) body["model"] = "vectors";
    return call("POST", "/v1/embeddings", body, expected);
  }
  Json rerank(Json body, int expected = 200) {
    if (!body.contains("model")) body["model"] = "judge";
    return call("POST", "/v1/rerank", body, expected);
  }
  static Json vector_of(int tokens, int first, int last) { return {tokens, first, last, 1}; }
  static int id(char c) { return ByteTokenizer::of(c); }
  template <class Condition>
  bool eventually(Condition condition) const {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  ApiOptions options_;
  Metrics metrics_;
  std::unique_ptr<ScriptedEmbedding> vectors_, judge_;
  std::unique_ptr<test::ScriptedModel> story_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(EmbeddingsTest, EveryFormOfInput) {
  start();
  const Json one = embed({{"input", "abc"}});
  EXPECT_EQ(one["object"], "list");
  EXPECT_EQ(one["model"], "vectors");
  EXPECT_EQ(one["data"].size(), 1u);
  EXPECT_EQ(one["data"][0]["object"], "embedding");
  EXPECT_EQ(one["data"][0]["index"], 0);
  EXPECT_EQ(one["data"][0]["embedding"], vector_of(3, id('a'), id('c')));
  EXPECT_EQ(one["usage"], (Json{{"prompt_tokens", 3}, {"total_tokens", 3}}));

  const Json several = embed({{"input", {"a", "bcde"}}});
  EXPECT_EQ(several["data"][1]["embedding"], vector_of(4, id('b'), id('e')));
  EXPECT_EQ(several["usage"]["prompt_tokens"], 5);
  EXPECT_EQ(embed({{"input", {7, 8, 9}}})["data"][0]["embedding"], vector_of(3, 7, 9));
  const Json mixed = embed({{"input", {{7, 8}, {9}}}});
  EXPECT_EQ(mixed["data"].size(), 2u);
  EXPECT_EQ(mixed["data"][1]["embedding"], vector_of(1, 9, 9));
}

TEST_F(EmbeddingsTest, Base64HoldsTheSameFloats) {
  start();
  const Json answer = embed({{"input", "abc"}, {"encoding_format", "base64"}});
  // 3, 100, 102, 1 as little-endian floats.
  EXPECT_EQ(answer["data"][0]["embedding"], "AABAQAAAyEIAAMxCAACAPw==");
}

TEST_F(EmbeddingsTest, DimensionsCutAndNormalizeAgain) {
  start();
  const Json cut = embed({{"input", {3, 4}}, {"dimensions", 2}})["data"][0]["embedding"];
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_NEAR(cut[0].get<double>(), 2 / std::sqrt(13.0), 1e-6);
  EXPECT_NEAR(cut[1].get<double>(), 3 / std::sqrt(13.0), 1e-6);
  EXPECT_EQ(embed({{"input", {3, 4}}, {"dimensions", 4}})["data"][0]["embedding"], vector_of(2, 3, 4));
  const Json error = embed({{"input", "x"}, {"dimensions", 5}}, 400)["error"];
  EXPECT_EQ(error["param"], "dimensions");
  EXPECT_EQ(error["message"], "dimensions is 5, the model has 4");
}

TEST_F(EmbeddingsTest, ModelsMayRefuseToBeCut) {
  start();
  ScriptedEmbedding listed(metrics_, "listed", false), never(metrics_, "never", false);
  listed.host.embedding.dimensions = {2};
  listed.host.embedding.normalize = true;
  never.host.embedding.may_shorten = false;
  ASSERT_TRUE(server_->add_model(listed.host).ok());
  ASSERT_TRUE(server_->add_model(never.host).ok());
  EXPECT_EQ(embed({{"model", "listed"}, {"input", "x"}, {"dimensions", 2}})["data"][0]["embedding"].size(), 2u);
  EXPECT_EQ(embed({{"model", "listed"}, {"input", "x"}, {"dimensions", 3}}, 400)["error"]["message"],
            "the model's vectors cannot be cut to 3 dimensions (allowed: 4, 2)");
  embed({{"model", "never"}, {"input", "x"}, {"dimensions", 2}}, 400);
  const Json whole = embed({{"model", "listed"}, {"input", "x"}})["data"][0]["embedding"];
  double length = 0;
  for (const Json& number : whole) length += number.get<double>() * number.get<double>();
  EXPECT_NEAR(length, 1, 1e-6);
  server_->stop();
}

TEST_F(EmbeddingsTest, LongInputsAreRefusedUnlessCutOnRequest) {
  start();
  const std::string text = std::string(70, 'x') + "y";
  const Json error = embed({{"input", {"a", text}}}, 400)["error"];
  EXPECT_EQ(error["param"], "input");
  EXPECT_NE(error["message"].get<std::string>().find("71"), std::string::npos) << error;
  EXPECT_NE(error["message"].get<std::string>().find("64"), std::string::npos) << error;
  EXPECT_EQ(embed({{"input", text}, {"truncate_prompt_tokens", -1}})["data"][0]["embedding"],
            vector_of(64, id('x'), id('x')));
  EXPECT_EQ(embed({{"input", text}, {"truncate_prompt_tokens", 3}})["usage"]["prompt_tokens"], 3);
  embed({{"input", text}, {"truncate_prompt_tokens", 65}}, 400);
  embed({{"input", text}, {"truncate_prompt_tokens", 0}}, 400);
  EXPECT_EQ(embed({{"input", std::string(64, 'x')}})["usage"]["prompt_tokens"], 64);
}

TEST_F(EmbeddingsTest, WrongFieldsAreNamed) {
  start();
  const std::pair<Json, const char*> kCases[] = {
      {Json::object(), "input"},
      {{{"input", ""}}, "input"},
      {{{"input", Json::array()}}, "input"},
      {{{"input", {"a", ""}}}, "input"},
      {{{"input", {{"a", 1}}}}, "input"},
      {{{"input", 5}}, "input"},
      {{{"input", {1000}}}, "input"},
      {{{"input", {-1}}}, "input"},
      {{{"input", "x"}, {"encoding_format", "hex"}}, "encoding_format"},
      {{{"input", "x"}, {"dimensions", 0}}, "dimensions"},
      {{{"input", "x"}, {"dimensions", "2"}}, "dimensions"},
      {{{"input", "x"}, {"model", 5}}, "model"},
  };
  for (const auto& [body, param] : kCases) {
    EXPECT_EQ(embed(body, 400)["error"]["param"].get<std::string>().substr(0, 5), std::string(param).substr(0, 5))
        << body;
  }
  EXPECT_EQ(embed({{"input", "x"}, {"model", "none"}}, 404)["error"]["code"], "model_not_found");
}

TEST_F(EmbeddingsTest, ThousandsOfInputsInOneRequest) {
  start();
  Json inputs = Json::array();
  for (int i = 0; i < 5000; ++i) inputs.push_back({i % 200, 5, i % 7});
  const Json answer = embed({{"input", inputs}});
  ASSERT_EQ(answer["data"].size(), 5000u);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(answer["data"][static_cast<size_t>(i)]["index"], i);
    ASSERT_EQ(answer["data"][static_cast<size_t>(i)]["embedding"], vector_of(3, i % 200, i % 7));
  }
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 15000);
  EXPECT_GT(vectors_->engine->stats().steps, 20u);  // in many steps of the token budget
}

TEST_F(EmbeddingsTest, ASmallRequestOvertakesALargeOne) {
  start();
  vectors_->control.step_ms = 20;
  Json inputs = Json::array();
  for (int i = 0; i < 12000; ++i) inputs.push_back({1, 2, 3, 4});
  std::thread large([&] { embed({{"input", inputs}}); });
  EXPECT_TRUE(eventually([&] { return vectors_->engine->stats().running == 1; }));
  embed({{"input", "small"}});
  EXPECT_EQ(vectors_->engine->stats().running, 1) << "the large request should still run";
  vectors_->control.step_ms = 0;
  large.join();
}

TEST_F(EmbeddingsTest, AClientThatLeavesIsCancelled) {
  start();
  vectors_->control.step_ms = 20;
  Json inputs = Json::array();
  for (int i = 0; i < 20000; ++i) inputs.push_back({1, 2, 3, 4});
  const std::string body = Json{{"model", "vectors"}, {"input", inputs}}.dump();
  {
    test::RawSocket socket(server_->port());
    socket.send("POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
    EXPECT_TRUE(eventually([&] { return vectors_->engine->stats().running == 1; }));
  }
  EXPECT_TRUE(eventually([&] { return vectors_->engine->idle(); }));
  EXPECT_LT(vectors_->engine->stats().texts, 20000u);
}

TEST_F(EmbeddingsTest, AFullQueueSays429) {
  EmbeddingOptions options;
  options.max_waiting_tokens = 100;
  start(options);
  vectors_->control.step_ms = 300;
  std::thread first([&] { embed({{"input", Json::array({std::string(60, 'a'), std::string(60, 'b')})}}); });
  EXPECT_TRUE(eventually([&] { return vectors_->engine->stats().running == 1; }));
  EXPECT_EQ(embed({{"input", std::string(60, 'c')}}, 429)["error"]["type"], "rate_limit_error");
  vectors_->control.step_ms = 0;
  first.join();
  embed({{"input", "d"}});
}

TEST_F(EmbeddingsTest, AFailedStepIsAnError) {
  start();
  vectors_->control.broken = true;
  EXPECT_EQ(embed({{"input", "x"}}, 500)["error"]["type"], "server_error");
  vectors_->control.broken = false;
  embed({{"input", "x"}});
}

TEST_F(EmbeddingsTest, RerankSortsByRelevance) {
  start();
  const Json answer = rerank({{"query", "abc"}, {"documents", {"x", "aabb", {{"text", "ca"}}, "y"}}});
  ASSERT_EQ(answer["results"].size(), 4u);
  EXPECT_EQ(answer["results"][0]["index"], 1);
  EXPECT_EQ(answer["results"][1]["index"], 2);
  EXPECT_EQ(answer["results"][2]["index"], 0);  // ties keep their order
  EXPECT_EQ(answer["results"][3]["index"], 3);
  EXPECT_NEAR(answer["results"][0]["relevance_score"].get<double>(), 1 / (1 + std::exp(-3.0)), 1e-6);
  EXPECT_NEAR(answer["results"][2]["relevance_score"].get<double>(), 1 / (1 + std::exp(1.0)), 1e-6);
  EXPECT_FALSE(answer["results"][0].contains("document"));
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("rerank-"));
  EXPECT_EQ(answer["usage"]["total_tokens"], 3 * 4 + 1 + 4 + 2 + 1);

  const Json best = rerank({{"query", "abc"}, {"documents", {"x", "a"}}, {"top_n", 1}, {"return_documents", true}});
  ASSERT_EQ(best["results"].size(), 1u);
  EXPECT_EQ(best["results"][0]["document"]["text"], "a");
  EXPECT_EQ(rerank({{"query", "abc"}, {"documents", {"x"}}, {"top_n", 7}})["results"].size(), 1u);
}

TEST_F(EmbeddingsTest, RerankErrors) {
  start();
  const std::pair<Json, const char*> kCases[] = {
      {{{"documents", {"x"}}}, "query"},
      {{{"query", "q"}}, "documents"},
      {{{"query", "q"}, {"documents", Json::array()}}, "documents"},
      {{{"query", "q"}, {"documents", {5}}}, "documents"},
      {{{"query", "q"}, {"documents", {{{"title", "x"}}}}}, "documents"},
      {{{"query", "q"}, {"documents", {"x"}}, {"top_n", 0}}, "top_n"},
      {{{"query", std::string(40, 'q')}, {"documents", {std::string(40, 'd')}}}, "input"},
  };
  for (const auto& [body, param] : kCases) EXPECT_EQ(rerank(body, 400)["error"]["param"], param) << body;
  const Json cut =
      rerank({{"query", std::string(40, 'q')}, {"documents", {std::string(40, 'd')}}, {"truncate_prompt_tokens", -1}});
  EXPECT_EQ(cut["usage"]["total_tokens"], 64);
}

TEST_F(EmbeddingsTest, EachModelSaysWhatItIsFor) {
  start();
  EXPECT_EQ(embed({{"model", "judge"}, {"input", "x"}}, 400)["error"]["message"],
            "model 'judge' gives no embeddings (it is for /v1/rerank)");
  EXPECT_EQ(rerank({{"model", "vectors"}, {"query", "q"}, {"documents", {"x"}}}, 400)["error"]["param"], "model");
  EXPECT_EQ(rerank({{"model", "story"}, {"query", "q"}, {"documents", {"x"}}}, 400)["error"]["message"],
            "model 'story' does not rank documents (it is for /v1/chat/completions, /v1/completions)");
  EXPECT_EQ(call("POST", "/v1/completions", {{"model", "vectors"}, {"prompt", "x"}}, 400)["error"]["message"],
            "model 'vectors' generates no text (it is for /v1/embeddings)");
  call("POST", "/v1/chat/completions", {{"model", "judge"}, {"messages", {{{"role", "user"}, {"content", "x"}}}}}, 400);
  call("POST", "/v1/models/vectors/predict", {{"input", "x"}}, 400);
  const Json models = call("GET", "/v1/models", nullptr)["data"];
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[0]["capabilities"], Json({"embed"}));
  EXPECT_EQ(models[0]["max_model_len"], 64);
  EXPECT_EQ(models[1]["capabilities"], Json({"rerank"}));
  EXPECT_EQ(models[2]["capabilities"], Json({"generate"}));
  EXPECT_EQ(call("POST", "/tokenize", {{"model", "vectors"}, {"prompt", "abc"}})["max_model_len"], 64);
}

TEST_F(EmbeddingsTest, MetricsCountTextsAndTokens) {
  start();
  embed({{"input", {"abc", "de"}}});
  rerank({{"query", "q"}, {"documents", {"x"}}});
  // The counters follow the answer within a moment.
  const auto says = [&](const std::string& line) { return metrics_.text().find(line + "\n") != std::string::npos; };
  EXPECT_TRUE(eventually([&] { return says(R"(vllm:prompt_tokens_total{model_name="vectors"} 5)"); }))
      << metrics_.text();
  EXPECT_TRUE(says(R"(strata_embedding_texts_total{model_name="vectors"} 2)"));
  EXPECT_TRUE(says(R"(strata_embedding_texts_total{model_name="judge"} 1)"));
  EXPECT_TRUE(says(R"(vllm:num_requests_running{model_name="vectors"} 0)"));
  EXPECT_TRUE(says(R"(vllm:request_success_total{finished_reason="stop",model_name="vectors"} 1)"));
}

TEST_F(EmbeddingsTest, StoppingAnswersWhatRuns) {
  start();
  vectors_->control.step_ms = 50;
  Json inputs = Json::array();
  for (int i = 0; i < 10000; ++i) inputs.push_back({1, 2, 3, 4});
  std::thread running([&] {
    http::Client client("127.0.0.1", server_->port(), 20s);
    (void)client.request("POST", "/v1/embeddings", Json{{"model", "vectors"}, {"input", inputs}}.dump(), {});
  });
  EXPECT_TRUE(eventually([&] { return vectors_->engine->stats().running == 1; }));
  server_->stop();
  running.join();
  EXPECT_TRUE(eventually([&] { return vectors_->engine->idle(); }));
}

}  // namespace
}  // namespace strata::api
