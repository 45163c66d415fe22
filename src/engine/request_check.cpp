#include "engine/request_check.h"

#include <algorithm>
#include <cmath>

namespace strata {
namespace {

Status out_of_range(const std::string& field, const std::string& range) {
  return invalid_argument(field + ": must be " + range, field);
}

Status check_sampling(const SamplingParams& params, const RunnerLimits& limits) {
  const auto within = [](float value, float low, float high) {
    return value >= low && value <= high;
  };  // false for NaN
  if (!(params.temperature >= 0) || !std::isfinite(params.temperature)) return out_of_range("temperature", "0 or more");
  if (params.temperature > 0 && !std::isfinite(1 / params.temperature)) {
    return out_of_range("temperature", "0 or at least 1e-38");
  }
  if (params.top_k < 0) return out_of_range("top_k", "0 (all) or more");
  if (!(params.top_p > 0) || params.top_p > 1) return out_of_range("top_p", "above 0 and at most 1");
  if (!within(params.min_p, 0, 1)) return out_of_range("min_p", "between 0 and 1");
  if (!(params.typical_p > 0) || params.typical_p > 1) return out_of_range("typical_p", "above 0 and at most 1");
  if (!(params.repetition_penalty > 0) || !std::isfinite(params.repetition_penalty)) {
    return out_of_range("repetition_penalty", "above 0");
  }
  if (!std::isfinite(params.presence_penalty)) return out_of_range("presence_penalty", "a finite number");
  if (!std::isfinite(params.frequency_penalty)) return out_of_range("frequency_penalty", "a finite number");
  for (const auto& [token, bias] : params.logit_bias) {
    if (token < 0 || token >= limits.vocab) {
      return invalid_argument("logit_bias: token id " + std::to_string(token) + " is outside the vocabulary of " +
                                  std::to_string(limits.vocab),
                              "logit_bias");
    }
    if (!std::isfinite(bias)) return out_of_range("logit_bias", "finite numbers");
  }
  return ok_status();
}

Status check_tokens(const std::vector<TokenId>& tokens, const RunnerLimits& limits, const std::string& field) {
  for (const TokenId token : tokens) {
    if (token >= 0 && token < limits.vocab) continue;
    return invalid_argument(
        field + ": token id " + std::to_string(token) + " is outside the vocabulary of " + std::to_string(limits.vocab),
        field);
  }
  return ok_status();
}

Status check_length(const Request& request, const RunnerLimits& limits) {
  if (request.prompt.empty()) return invalid_argument("prompt: must have at least one token", "prompt");
  if (request.max_tokens < 0) return out_of_range("max_tokens", "0 or more");
  if (request.min_tokens < 0 || request.min_tokens > request.max_tokens) {
    return out_of_range("min_tokens", "between 0 and max_tokens");
  }
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t most = max_request_tokens(limits);
  if (prompt + request.max_tokens <= most) return ok_status();
  const bool prompt_alone = prompt >= most;
  return invalid_argument("the prompt has " + std::to_string(prompt) + " tokens and max_tokens is " +
                              std::to_string(request.max_tokens) + "; together they must not exceed " +
                              std::to_string(most) +
                              (most < limits.max_context ? " (the size of the cache)" : " (the model's context)"),
                          prompt_alone ? "prompt" : "max_tokens");
}

}  // namespace

int max_request_tokens(const RunnerLimits& limits) {
  const int64_t cache = int64_t{limits.n_blocks} * limits.block_tokens;
  return static_cast<int>(std::min<int64_t>(limits.max_context, cache));
}

Status check_request(const Request& request, const RunnerLimits& limits) {
  RETURN_IF_ERROR(check_length(request, limits));
  RETURN_IF_ERROR(check_tokens(request.prompt, limits, "prompt"));
  RETURN_IF_ERROR(check_tokens(request.stop_tokens, limits, "stop_token_ids"));
  RETURN_IF_ERROR(check_sampling(request.sampling, limits));
  if (request.n < 1 || request.n > kMaxChoices)
    return out_of_range("n", "between 1 and " + std::to_string(kMaxChoices));
  for (const std::string& stop : request.stop) {
    if (stop.empty()) return invalid_argument("stop: a stop string must not be empty", "stop");
  }
  if (request.logprobs < -1) return out_of_range("logprobs", "0 or more");
  if (request.prompt_logprobs < -1) return out_of_range("prompt_logprobs", "0 or more");
  return ok_status();
}

}  // namespace strata
