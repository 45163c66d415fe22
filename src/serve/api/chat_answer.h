// The answer of /v1/chat/completions: chat.completion, or a stream of chat.completion.chunk. Internal to serve/api.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "model/text/tokenizer.h"
#include "serve/api/answer.h"

namespace strata::api {

class ChatAnswer final : public Answer {
 public:
  ChatAnswer(AnswerHead head, const Tokenizer& tokenizer, int n, bool logprobs);

  std::string frames(int request, Event&& event) override;
  std::string end(const Usage& usage) override;
  std::string error_frame(const Status& reason) override;
  void collect(int request, Event&& event) override;
  std::string body(const Usage& usage) override;

 private:
  struct Choice {
    bool started = false;
    std::string text;
    nlohmann::ordered_json logprobs = nlohmann::ordered_json::array();
    FinishReason finish = FinishReason::kNone;
  };

  std::string chunk(nlohmann::ordered_json choices, nlohmann::ordered_json usage) const;
  std::string choice_chunk(int index, nlohmann::ordered_json delta, nlohmann::ordered_json logprobs,
                           FinishReason finish) const;

  const AnswerHead head_;
  const Tokenizer& tokenizer_;
  const bool logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace strata::api
