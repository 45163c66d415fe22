#include "serve/api/token_text.h"

#include <simdjson.h>

#include <algorithm>

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;

Json token_entry(const Tokenizer& tokenizer, const TokenLogprob& token) {
  const std::string_view bytes = tokenizer.piece(token.token, true);
  Json values = Json::array();
  for (const char c : bytes) values.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(tokenizer, token.token)},
          {"logprob", finite_logprob(token.logprob)},
          {"bytes", std::move(values)}};
}

}  // namespace

std::string token_text(const Tokenizer& tokenizer, TokenId token) {
  const std::string_view bytes = tokenizer.piece(token, true);
  if (simdjson::validate_utf8(bytes.data(), bytes.size())) return std::string(bytes);
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "bytes:";
  for (const char c : bytes) {
    const auto value = static_cast<unsigned char>(c);
    text.append("\\x").append({kHex[value >> 4], kHex[value & 15]});
  }
  return text;
}

double finite_logprob(float logprob) { return logprob >= kLeastLogprob ? std::min(logprob, 0.0f) : kLeastLogprob; }

size_t count_characters(std::string_view bytes) {
  return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

Json chat_logprob(const Tokenizer& tokenizer, const PositionLogprobs& position) {
  Json entry = token_entry(tokenizer, position.chosen);
  Json top = Json::array();
  for (const TokenLogprob& token : position.top) top.push_back(token_entry(tokenizer, token));
  entry["top_logprobs"] = std::move(top);
  return entry;
}

void CompletionLogprobs::add_text(TokenId token) {
  tokens_.push_back(token_text(*tokenizer_, token));
  text_offset_.push_back(offset_);
  offset_ += count_characters(tokenizer_->piece(token));
}

void CompletionLogprobs::add_first(TokenId token) {
  add_text(token);
  token_logprobs_.push_back(nullptr);
  top_logprobs_.push_back(nullptr);
}

void CompletionLogprobs::add(const PositionLogprobs& position) {
  add_text(position.chosen.token);
  token_logprobs_.push_back(finite_logprob(position.chosen.logprob));
  Json top = Json::object();
  for (const TokenLogprob& token : position.top) {
    top[token_text(*tokenizer_, token.token)] = finite_logprob(token.logprob);
  }
  top[token_text(*tokenizer_, position.chosen.token)] = finite_logprob(position.chosen.logprob);
  top_logprobs_.push_back(std::move(top));
}

Json CompletionLogprobs::take() {
  Json out = {{"text_offset", std::move(text_offset_)},
              {"token_logprobs", std::move(token_logprobs_)},
              {"tokens", std::move(tokens_)},
              {"top_logprobs", std::move(top_logprobs_)}};
  tokens_ = token_logprobs_ = top_logprobs_ = text_offset_ = Json::array();
  return out;
}

}  // namespace strata::api
