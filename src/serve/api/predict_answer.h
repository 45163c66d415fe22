// The answer of /v1/models/{id}/predict. Internal to serve/api. Streamed: `event: progress` with
// {"token": new text, "probability": of the tokens it came from}, then `event: done` with finish_reason and usage.
#pragma once

#include "serve/api/answer.h"

namespace strata::api {

class PredictAnswer final : public Answer {
 public:
  explicit PredictAnswer(AnswerHead head) : head_(std::move(head)) {}

  std::string frames(int request, Event&& event) override;
  std::string end(const Usage& usage) override;
  std::string error_frame(const Status& reason) override;
  void collect(int request, Event&& event) override;
  std::string body(const Usage& usage) override;

 private:
  const AnswerHead head_;
  std::string text_;
  double logprob_ = 0;  // of the tokens whose text has not been sent
  FinishReason finish_ = FinishReason::kNone;
};

}  // namespace strata::api
