// The fields that all generating endpoints share, as the client sent them, and how they become an engine request.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "serve/api/model_host.h"

namespace strata::api {

class JsonFields;

struct GenerationParams {
  std::optional<double> temperature;         // [0, 2]
  std::optional<double> top_p;               // [0, 1]
  std::optional<double> min_p;               // [0, 1]
  std::optional<double> typical_p;           // (0, 1]
  std::optional<double> repetition_penalty;  // (0, 100]
  std::optional<double> presence_penalty;    // [-2, 2]
  std::optional<double> frequency_penalty;   // [-2, 2]
  std::optional<int64_t> top_k;              // -1 and 0: all
  std::optional<int64_t> seed;               // any; without one each request draws its own
  std::map<TokenId, float> logit_bias;       // values in [-100, 100]
  std::optional<int64_t> max_tokens;         // max_completion_tokens or, older, max_tokens
  int n = 1;                                 // [1, 128]
  int min_tokens = 0;
  std::vector<std::string> stop;  // at most 16, none empty
  std::vector<TokenId> stop_token_ids;
  bool ignore_eos = false;
  int priority = 0;               // lower goes first
  std::optional<double> timeout;  // seconds
  bool stream = false;
  bool include_usage = false;  // stream_options
};

// Reads all of the above. Fields that would change the answer but are not built (tools, response_format other than
// text, grammars ...) give kInvalidArgument with their name.
Status read_generation_params(const JsonFields& fields, GenerationParams& out);

// An engine request for this prompt: defaults filled in, ids checked against the vocabulary, `default_max_tokens` used
// where the client set no limit (nothing: all that the context leaves). `field` names the prompt in errors.
Result<Request> make_engine_request(const GenerationParams& params, const ModelHost& host, std::vector<TokenId> prompt,
                                    std::optional<int> default_max_tokens, const std::string& field);

// A cheap check before tokenizing: kInvalidArgument when `bytes` of text cannot fit whatever their tokens are.
Status check_text_size(size_t bytes, size_t longest_token_bytes, int context, const std::string& field);

}  // namespace strata::api
