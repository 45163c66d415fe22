// The answer of /v1/completions: text_completion, whole or as a stream. Internal to serve/api. Choice numbers run over
// the prompts: choice c of prompt p has index p * n + c.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/text/tokenizer.h"
#include "serve/api/answer.h"
#include "serve/api/token_text.h"

namespace strata::api {

// A prompt as `echo` gives it back.
struct EchoedPrompt {
  std::string text;
  std::vector<TokenId> tokens;
};

class CompletionAnswer final : public Answer {
 public:
  // `echo`: one per request, or empty when it is not wanted.
  CompletionAnswer(AnswerHead head, const Tokenizer& tokenizer, int n_requests, int n, bool logprobs,
                   std::vector<EchoedPrompt> echo);

  std::string frames(int request, Event&& event) override;
  std::string end(const Usage& usage) override;
  std::string error_frame(const Status& reason) override;
  void collect(int request, Event&& event) override;
  std::string body(const Usage& usage) override;

 private:
  struct Choice {
    explicit Choice(const Tokenizer& tokenizer) : logprobs(tokenizer) {}
    bool started = false;
    std::string text;
    CompletionLogprobs logprobs;
    FinishReason finish = FinishReason::kNone;
  };

  Choice& take(int request, Event& event);
  nlohmann::ordered_json choice_json(size_t index, Choice& choice, std::string text, FinishReason finish) const;
  nlohmann::ordered_json object(nlohmann::ordered_json choices) const;

  const AnswerHead head_;
  const Tokenizer& tokenizer_;
  const int n_;
  const bool logprobs_;
  const std::vector<EchoedPrompt> echo_;
  std::vector<std::vector<PositionLogprobs>> prompt_logprobs_;  // per request
  std::vector<Choice> choices_;
};

}  // namespace strata::api
