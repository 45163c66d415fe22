// How tokens appear in log-probabilities. Internal to serve/api.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/request.h"
#include "model/text/tokenizer.h"

namespace strata::api {

// A token as text. Bytes that are no text of their own are written as OpenAI does: "bytes:\xe2\x82".
std::string token_text(const Tokenizer& tokenizer, TokenId token);

// JSON has no infinity: what is less likely than this is given as this.
constexpr double kLeastLogprob = -9999;
double finite_logprob(float logprob);

// Characters (code points) that start within these bytes.
size_t count_characters(std::string_view bytes);

// One entry of a chat answer's logprobs.content.
nlohmann::ordered_json chat_logprob(const Tokenizer& tokenizer, const PositionLogprobs& position);

// The parallel arrays of a completion's logprobs, filled token by token.
class CompletionLogprobs {
 public:
  explicit CompletionLogprobs(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  void add_first(TokenId token);  // the first token of a prompt has no probability
  void add(const PositionLogprobs& position);
  bool empty() const { return tokens_.empty(); }
  nlohmann::ordered_json take();  // what was added since the last call
  // Where the text goes on when it is not simply the pieces joined (a leading space dropped at the start of a prompt).
  void set_offset(size_t characters) { offset_ = characters; }

 private:
  void add_text(TokenId token);

  const Tokenizer* tokenizer_;
  size_t offset_ = 0;  // characters before the next token
  nlohmann::ordered_json tokens_ = nlohmann::ordered_json::array();
  nlohmann::ordered_json token_logprobs_ = nlohmann::ordered_json::array();
  nlohmann::ordered_json top_logprobs_ = nlohmann::ordered_json::array();
  nlohmann::ordered_json text_offset_ = nlohmann::ordered_json::array();
};

}  // namespace strata::api
