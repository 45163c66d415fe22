// Refuses what can never be served, before it is queued. Messages name the field and the numbers.
#pragma once

#include "engine/request.h"
#include "engine/runner.h"

namespace strata {

inline constexpr int kMaxChoices = 128;

// Most prompt + max_tokens of one request: the context, or less when the whole cache holds less.
int max_request_tokens(const RunnerLimits& limits);

// kInvalidArgument with `param` set to the OpenAI name of the field at fault.
Status check_request(const Request& request, const RunnerLimits& limits);

}  // namespace strata
