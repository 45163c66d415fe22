// What each endpoint writes for given events, without engine or socket.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "scripted_model.h"
#include "serve/api/chat_answer.h"
#include "serve/api/completion_answer.h"
#include "serve/api/error_response.h"
#include "serve/api/predict_answer.h"
#include "serve/http/sse.h"

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;
using test::ByteTokenizer;

const ByteTokenizer kTokenizer;
const Usage kUsage{.prompt_tokens = 7, .completion_tokens = 3, .cached_tokens = 2};

AnswerHead head(bool include_usage = false) { return {"id-1", "m", 1700000000, include_usage}; }

PositionLogprobs position(TokenId token, float logprob, std::vector<TokenLogprob> top = {}) {
  PositionLogprobs out;
  out.chosen = {token, logprob};
  out.top = std::move(top);
  return out;
}

Event event(std::string text, FinishReason finish = FinishReason::kNone, int choice = 0) {
  Event out;
  out.choice = choice;
  for (const char c : text) out.tokens.push_back(ByteTokenizer::of(c));
  out.text = std::move(text);
  out.finish = finish;
  return out;
}

std::vector<http::SseEvent> events_of(const std::string& frames) { return http::SseParser().push(frames); }

TEST(ChatAnswer, WritesOneBody) {
  ChatAnswer answer(head(), kTokenizer, 2, false);
  answer.collect(0, event("he"));
  answer.collect(0, event("other", FinishReason::kLength, 1));
  answer.collect(0, event("y", FinishReason::kStop));
  const Json body = Json::parse(answer.body(kUsage));
  EXPECT_EQ(
      body.dump(),
      R"({"id":"id-1","object":"chat.completion","created":1700000000,"model":"m","choices":[)"
      R"({"index":0,"message":{"role":"assistant","content":"hey","refusal":null},"logprobs":null,"finish_reason":"stop"},)"
      R"({"index":1,"message":{"role":"assistant","content":"other","refusal":null},"logprobs":null,"finish_reason":"length"}],)"
      R"("usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2}}})");
}

TEST(ChatAnswer, WritesLogprobsWithExactBytes) {
  ChatAnswer answer(head(), kTokenizer, 1, true);
  Event one = event("a", FinishReason::kStop);
  one.logprobs = {position(ByteTokenizer::of('a'), -0.5f,
                           {{ByteTokenizer::of('a'), -0.5f}, {ByteTokenizer::of('\xe2'), -INFINITY}})};
  answer.collect(0, std::move(one));
  const Json logprobs = Json::parse(answer.body(kUsage))["choices"][0]["logprobs"];
  EXPECT_EQ(
      logprobs.dump(),
      R"({"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]},)"
      R"({"token":"bytes:\\xe2","logprob":-9999.0,"bytes":[226]}]}],"refusal":null})");
}

TEST(ChatAnswer, StreamsRoleTextFinishAndUsage) {
  ChatAnswer answer(head(true), kTokenizer, 1, false);
  std::string frames = answer.frames(0, event("a"));
  frames += answer.frames(0, event(""));
  frames += answer.frames(0, event("b", FinishReason::kLength));
  frames += answer.end(kUsage);
  const auto events = events_of(frames);
  ASSERT_EQ(events.size(), 6u);
  std::vector<Json> chunks;
  for (size_t i = 0; i < 5; ++i) chunks.push_back(Json::parse(events[i].data));
  EXPECT_EQ(chunks[0]["choices"][0]["delta"].dump(), R"({"role":"assistant","content":""})");
  EXPECT_EQ(chunks[1]["choices"][0]["delta"].dump(), R"({"content":"a"})");
  EXPECT_TRUE(chunks[1]["choices"][0]["finish_reason"].is_null());
  EXPECT_TRUE(chunks[1]["usage"].is_null());
  EXPECT_EQ(chunks[2]["choices"][0]["delta"].dump(), R"({"content":"b"})");
  EXPECT_EQ(chunks[3]["choices"][0]["delta"].dump(), "{}");
  EXPECT_EQ(chunks[3]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(chunks[4]["choices"].size(), 0u);
  EXPECT_EQ(chunks[4]["usage"]["total_tokens"], 10);
  for (const Json& chunk : chunks) EXPECT_EQ(chunk["object"], "chat.completion.chunk");
  EXPECT_EQ(events[5].data, "[DONE]");
}

TEST(ChatAnswer, StreamsLogprobsOfHeldBackTokensToo) {
  ChatAnswer answer(head(), kTokenizer, 1, true);
  answer.frames(0, event("x"));
  Event held = event("");
  held.logprobs = {position(ByteTokenizer::of('\xe2'), -1)};
  const auto events = events_of(answer.frames(0, std::move(held)));
  ASSERT_EQ(events.size(), 1u);
  const Json choice = Json::parse(events[0].data)["choices"][0];
  EXPECT_EQ(choice["delta"]["content"], "");
  EXPECT_EQ(choice["logprobs"]["content"][0]["bytes"].dump(), "[226]");
}

TEST(ChatAnswer, EndsAFailedStreamWithAnErrorEvent) {
  ChatAnswer answer(head(), kTokenizer, 1, false);
  const auto events = events_of(answer.error_frame(internal_error("the device is gone")));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].event, "error");
  const Json error = Json::parse(events[0].data)["error"];
  EXPECT_EQ(error["message"], "the device is gone");
  EXPECT_EQ(error["type"], "server_error");
}

TEST(CompletionAnswer, NumbersChoicesOverPrompts) {
  CompletionAnswer answer(head(), kTokenizer, 2, 2, false, {});
  answer.collect(1, event("d", FinishReason::kStop, 1));
  answer.collect(0, event("a", FinishReason::kStop, 0));
  answer.collect(1, event("c", FinishReason::kLength, 0));
  answer.collect(0, event("b", FinishReason::kStop, 1));
  const Json body = Json::parse(answer.body(kUsage));
  EXPECT_EQ(body["object"], "text_completion");
  std::string text;
  for (const Json& choice : body["choices"]) {
    EXPECT_EQ(choice["index"], text.size());
    text += choice["text"];
  }
  EXPECT_EQ(text, "abcd");
  EXPECT_EQ(body["choices"][2]["finish_reason"], "length");
}

TEST(CompletionAnswer, WritesLogprobsWithOffsetsInCharacters) {
  CompletionAnswer answer(head(), kTokenizer, 1, 1, true, {});
  Event one = event("a\xc3\xa9z", FinishReason::kStop);
  one.logprobs = {position(ByteTokenizer::of('a'), -1, {{ByteTokenizer::of('b'), -0.25f}}),
                  position(ByteTokenizer::of('\xc3'), -1), position(ByteTokenizer::of('\xa9'), -1),
                  position(ByteTokenizer::of('z'), -1)};
  answer.collect(0, std::move(one));
  const Json logprobs = Json::parse(answer.body(kUsage))["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["text_offset"].dump(), "[0,1,2,2]");
  EXPECT_EQ(logprobs["tokens"].dump(), R"(["a","bytes:\\xc3","bytes:\\xa9","z"])");
  EXPECT_EQ(logprobs["token_logprobs"].dump(), "[-1.0,-1.0,-1.0,-1.0]");
  EXPECT_EQ(logprobs["top_logprobs"][0].dump(), R"({"b":-0.25,"a":-1.0})");
}

TEST(CompletionAnswer, EchoesPromptAndItsLogprobsForEachChoice) {
  CompletionAnswer answer(head(), kTokenizer, 1, 2, true,
                          {{"hi", {ByteTokenizer::kBegin, ByteTokenizer::of('h'), ByteTokenizer::of('i')}}});
  Event first = event("!", FinishReason::kStop);
  first.prompt_logprobs = {position(ByteTokenizer::of('h'), -2), position(ByteTokenizer::of('i'), -3)};
  first.logprobs = {position(ByteTokenizer::of('!'), -1)};
  answer.collect(0, std::move(first));
  answer.collect(0, event("?", FinishReason::kStop, 1));
  const Json body = Json::parse(answer.body(kUsage));
  EXPECT_EQ(body["choices"][0]["text"], "hi!");
  EXPECT_EQ(body["choices"][1]["text"], "hi?");
  const Json& logprobs = body["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"].dump(), R"(["<s>","h","i","!"])");
  EXPECT_EQ(logprobs["token_logprobs"].dump(), "[null,-2.0,-3.0,-1.0]");
  EXPECT_EQ(logprobs["text_offset"].dump(), "[0,0,1,2]");
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(body["choices"][1]["logprobs"]["token_logprobs"].dump(), "[null,-2.0,-3.0]");
}

TEST(CompletionAnswer, StreamsDeltas) {
  CompletionAnswer answer(head(true), kTokenizer, 1, 1, false, {{"p", {ByteTokenizer::of('p')}}});
  std::string frames = answer.frames(0, event("a"));
  EXPECT_EQ(answer.frames(0, event("")), "");
  frames += answer.frames(0, event("b", FinishReason::kStop));
  frames += answer.end(kUsage);
  const auto events = events_of(frames);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(Json::parse(events[0].data)["choices"][0]["text"], "pa");
  EXPECT_EQ(Json::parse(events[1].data)["choices"][0]["text"], "b");
  EXPECT_EQ(Json::parse(events[1].data)["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(Json::parse(events[2].data)["usage"]["prompt_tokens"], 7);
  EXPECT_EQ(events[3].data, "[DONE]");
}

TEST(PredictAnswer, StreamsProgressAndDone) {
  PredictAnswer answer(head());
  Event first = event("The");
  first.logprobs = {position(ByteTokenizer::of('T'), std::log(0.98f))};
  std::string frames = answer.frames(0, std::move(first));
  Event held = event("");
  held.logprobs = {position(ByteTokenizer::of('\xc3'), std::log(0.5f))};
  EXPECT_EQ(answer.frames(0, std::move(held)), "");
  Event last = event("\xc3\xa9", FinishReason::kLength);
  last.logprobs = {position(ByteTokenizer::of('\xa9'), std::log(0.5f))};
  frames += answer.frames(0, std::move(last));
  frames += answer.end(kUsage);
  const auto events = events_of(frames);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].event, "progress");
  EXPECT_EQ(Json::parse(events[0].data)["token"], "The");
  EXPECT_NEAR(Json::parse(events[0].data)["probability"], 0.98, 1e-6);
  EXPECT_EQ(Json::parse(events[1].data)["token"], "\xc3\xa9");
  EXPECT_NEAR(Json::parse(events[1].data)["probability"], 0.25, 1e-6);
  EXPECT_EQ(events[2].event, "done");
  EXPECT_EQ(Json::parse(events[2].data)["finish_reason"], "length");
  EXPECT_EQ(Json::parse(events[2].data)["usage"]["completion_tokens"], 3);
}

TEST(ErrorResponse, FollowsTheTable) {
  struct Case {
    Status status;
    int http_status;
    std::string type, code;
    bool retry;
  };
  const Case cases[] = {
      {invalid_argument("m", "n"), 400, "invalid_request_error", "null", false},
      {{Code::kUnauthenticated, "m"}, 401, "authentication_error", "\"invalid_api_key\"", false},
      {{Code::kPermissionDenied, "m"}, 403, "permission_error", "null", false},
      {not_found("m"), 404, "invalid_request_error", "null", false},
      {{Code::kNotFound, "m", "model"}, 404, "invalid_request_error", "\"model_not_found\"", false},
      {{Code::kDeadline, "m"}, 408, "invalid_request_error", "\"timeout\"", false},
      {{Code::kTooLarge, "m"}, 413, "invalid_request_error", "\"request_too_large\"", false},
      {exhausted("m"), 429, "rate_limit_error", "\"rate_limit_exceeded\"", true},
      {unavailable("m"), 503, "server_error", "\"unavailable\"", true},
      {internal_error("m"), 500, "server_error", "null", false},
      {data_loss("m"), 500, "server_error", "null", false},
  };
  for (const Case& expected : cases) {
    const http::Response response = error_response(expected.status);
    const Json error = Json::parse(response.body)["error"];
    EXPECT_EQ(response.status, expected.http_status);
    EXPECT_EQ(error["type"], expected.type) << expected.http_status;
    EXPECT_EQ(error["code"].dump(), expected.code) << expected.http_status;
    EXPECT_EQ(error["message"], "m");
    EXPECT_EQ(!response.headers.empty() && response.headers[0].first == "Retry-After", expected.retry);
  }
  EXPECT_EQ(Json::parse(error_response(invalid_argument("m", "n")).body)["error"]["param"], "n");
}

TEST(ErrorResponse, IsValidUtf8WhateverTheMessage) {
  EXPECT_TRUE(Json::accept(error_response(not_found("bad \xff bytes \n \"quoted\"")).body));
}

}  // namespace
}  // namespace strata::api
