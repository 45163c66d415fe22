#include "serve/api/chat_answer.h"

#include "base/check.h"
#include "serve/api/error_response.h"
#include "serve/api/json_text.h"
#include "serve/api/token_text.h"
#include "serve/api/usage_json.h"
#include "serve/http/server.h"
#include "serve/http/sse.h"

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;

Json logprobs_json(Json content) { return {{"content", std::move(content)}, {"refusal", nullptr}}; }

}  // namespace

ChatAnswer::ChatAnswer(AnswerHead head, const Tokenizer& tokenizer, int n, bool logprobs)
    : head_(std::move(head)), tokenizer_(tokenizer), logprobs_(logprobs), choices_(static_cast<size_t>(n)) {}

std::string ChatAnswer::chunk(Json choices, Json usage) const {
  Json out;
  out["id"] = head_.id;
  out["object"] = "chat.completion.chunk";
  out["created"] = head_.created;
  out["model"] = head_.model;
  out["choices"] = std::move(choices);
  if (head_.include_usage) out["usage"] = std::move(usage);
  return http::sse_frame(json_text(out));
}

std::string ChatAnswer::choice_chunk(int index, Json delta, Json logprobs, FinishReason finish) const {
  Json choice;
  choice["index"] = index;
  choice["delta"] = std::move(delta);
  choice["logprobs"] = std::move(logprobs);
  choice["finish_reason"] = finish_json(finish);
  Json choices = Json::array();
  choices.push_back(std::move(choice));
  return chunk(std::move(choices), nullptr);
}

std::string ChatAnswer::frames(int, Event&& event) {
  CHECK_LT(static_cast<size_t>(event.choice), choices_.size());
  Choice& choice = choices_[static_cast<size_t>(event.choice)];
  std::string out;
  if (!choice.started) {
    choice.started = true;
    out += choice_chunk(event.choice, {{"role", "assistant"}, {"content", ""}}, nullptr, FinishReason::kNone);
  }
  Json logprobs;
  if (logprobs_ && !event.logprobs.empty()) {
    Json content = Json::array();
    for (const PositionLogprobs& position : event.logprobs) content.push_back(chat_logprob(tokenizer_, position));
    logprobs = logprobs_json(std::move(content));
  }
  if (!event.text.empty() || !logprobs.is_null()) {
    out += choice_chunk(event.choice, {{"content", std::move(event.text)}}, std::move(logprobs), FinishReason::kNone);
  }
  if (event.finish != FinishReason::kNone) {
    out += choice_chunk(event.choice, Json::object(), nullptr, event.finish);
  }
  return out;
}

std::string ChatAnswer::end(const Usage& usage) {
  std::string out;
  if (head_.include_usage) out = chunk(Json::array(), usage_json(usage));
  return out + http::sse_frame("[DONE]");
}

std::string ChatAnswer::error_frame(const Status& reason) {
  return http::sse_frame(error_json(http::http_status(reason.code()), reason), "error");
}

void ChatAnswer::collect(int, Event&& event) {
  CHECK_LT(static_cast<size_t>(event.choice), choices_.size());
  Choice& choice = choices_[static_cast<size_t>(event.choice)];
  choice.text += event.text;
  if (event.finish != FinishReason::kNone) choice.finish = event.finish;
  if (!logprobs_) return;
  for (const PositionLogprobs& position : event.logprobs) choice.logprobs.push_back(chat_logprob(tokenizer_, position));
}

std::string ChatAnswer::body(const Usage& usage) {
  Json out;
  out["id"] = head_.id;
  out["object"] = "chat.completion";
  out["created"] = head_.created;
  out["model"] = head_.model;
  Json& choices = out["choices"] = Json::array();
  for (Choice& choice : choices_) {
    Json entry;
    entry["index"] = choices.size();
    entry["message"] = {{"role", "assistant"}, {"content", std::move(choice.text)}, {"refusal", nullptr}};
    entry["logprobs"] = logprobs_ ? logprobs_json(std::move(choice.logprobs)) : Json();
    entry["finish_reason"] = finish_json(choice.finish);
    choices.push_back(std::move(entry));
  }
  out["usage"] = usage_json(usage);
  return json_text(out);
}

}  // namespace strata::api
