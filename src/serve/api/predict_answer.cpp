#include "serve/api/predict_answer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "serve/api/error_response.h"
#include "serve/api/json_text.h"
#include "serve/api/usage_json.h"
#include "serve/http/server.h"
#include "serve/http/sse.h"

namespace strata::api {

using Json = nlohmann::ordered_json;

std::string PredictAnswer::frames(int, Event&& event) {
  for (const PositionLogprobs& position : event.logprobs) logprob_ += position.chosen.logprob;
  finish_ = event.finish;
  if (event.text.empty()) return {};
  const double probability = std::exp(std::exchange(logprob_, 0));
  const Json progress = {{"token", std::move(event.text)}, {"probability", std::min(probability, 1.0)}};
  return http::sse_frame(json_text(progress), "progress");
}

std::string PredictAnswer::end(const Usage& usage) {
  Json done;
  done["id"] = head_.id;
  done["model"] = head_.model;
  done["finish_reason"] = finish_json(finish_);
  done["usage"] = usage_json(usage);
  return http::sse_frame(json_text(done), "done");
}

std::string PredictAnswer::error_frame(const Status& reason) {
  return http::sse_frame(error_json(http::http_status(reason.code()), reason), "error");
}

void PredictAnswer::collect(int, Event&& event) {
  text_ += event.text;
  finish_ = event.finish;
}

std::string PredictAnswer::body(const Usage& usage) {
  Json out;
  out["id"] = head_.id;
  out["model"] = head_.model;
  out["output"] = text_;
  out["finish_reason"] = finish_json(finish_);
  out["usage"] = usage_json(usage);
  return json_text(out);
}

}  // namespace strata::api
