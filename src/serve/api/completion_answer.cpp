#include "serve/api/completion_answer.h"

#include "base/check.h"
#include "serve/api/error_response.h"
#include "serve/api/json_text.h"
#include "serve/api/usage_json.h"
#include "serve/http/server.h"
#include "serve/http/sse.h"

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

CompletionAnswer::CompletionAnswer(AnswerHead head, const Tokenizer& tokenizer, int n_requests, int n, bool logprobs,
                                   std::vector<EchoedPrompt> echo)
    : head_(std::move(head)),
      tokenizer_(tokenizer),
      n_(n),
      logprobs_(logprobs),
      echo_(std::move(echo)),
      prompt_logprobs_(static_cast<size_t>(n_requests)),
      choices_(static_cast<size_t>(n_requests * n), Choice(tokenizer)) {}

// Adds an event to its choice; the choice's first event brings the echoed prompt with it.
CompletionAnswer::Choice& CompletionAnswer::take(int request, Event& event) {
  const auto r = static_cast<size_t>(request);
  const size_t index = r * static_cast<size_t>(n_) + static_cast<size_t>(event.choice);
  CHECK_LT(index, choices_.size());
  Choice& choice = choices_[index];
  if (!event.prompt_logprobs.empty()) prompt_logprobs_[r] = std::move(event.prompt_logprobs);
  if (!choice.started) {
    choice.started = true;
    if (!echo_.empty()) {
      choice.text = echo_[r].text;
      if (logprobs_) {
        choice.logprobs.add_first(echo_[r].tokens.front());
        for (const PositionLogprobs& position : prompt_logprobs_[r]) choice.logprobs.add(position);
        choice.logprobs.set_offset(count_characters(echo_[r].text));
      }
    }
  }
  choice.text += event.text;
  if (logprobs_) {
    for (const PositionLogprobs& position : event.logprobs) choice.logprobs.add(position);
  }
  if (event.finish != FinishReason::kNone) choice.finish = event.finish;
  return choice;
}

Json CompletionAnswer::choice_json(size_t index, Choice& choice, std::string text, FinishReason finish) const {
  Json entry;
  entry["index"] = index;
  entry["text"] = std::move(text);
  entry["logprobs"] = logprobs_ ? choice.logprobs.take() : Json();
  entry["finish_reason"] = finish_json(finish);
  return entry;
}

Json CompletionAnswer::object(Json choices) const {
  Json out;
  out["id"] = head_.id;
  out["object"] = "text_completion";
  out["created"] = head_.created;
  out["model"] = head_.model;
  out["choices"] = std::move(choices);
  return out;
}

std::string CompletionAnswer::frames(int request, Event&& event) {
  const FinishReason finish = event.finish;
  const auto index = static_cast<size_t>(request) * static_cast<size_t>(n_) + static_cast<size_t>(event.choice);
  Choice& choice = take(request, event);
  if (choice.text.empty() && choice.logprobs.empty() && finish == FinishReason::kNone) return {};
  Json choices = Json::array();
  choices.push_back(choice_json(index, choice, std::exchange(choice.text, {}), finish));
  Json out = object(std::move(choices));
  if (head_.include_usage) out["usage"] = nullptr;
  return http::sse_frame(json_text(out));
}

std::string CompletionAnswer::end(const Usage& usage) {
  std::string frames;
  if (head_.include_usage) {
    Json out = object(Json::array());
    out["usage"] = usage_json(usage);
    frames = http::sse_frame(json_text(out));
  }
  return frames + http::sse_frame("[DONE]");
}

std::string CompletionAnswer::error_frame(const Status& reason) {
  return http::sse_frame(error_json(http::http_status(reason.code()), reason), "error");
}

void CompletionAnswer::collect(int request, Event&& event) { take(request, event); }

std::string CompletionAnswer::body(const Usage& usage) {
  Json choices = Json::array();
  for (Choice& choice : choices_) {
    choices.push_back(choice_json(choices.size(), choice, std::move(choice.text), choice.finish));
  }
  Json out = object(std::move(choices));
  out["usage"] = usage_json(usage);
  return json_text(out);
}

}  // namespace strata::api
