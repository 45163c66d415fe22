#include "engine/embedding_request.h"

namespace strata {

Status check_text(const TextTokens& text, const EmbedderLimits& limits) {
  if (text.ids.empty()) return invalid_argument("the text has no tokens");
  if (text.ids.size() > static_cast<size_t>(limits.max_text_tokens)) {
    return invalid_argument("the text has " + std::to_string(text.ids.size()) + " tokens, the model takes at most " +
                            std::to_string(limits.max_text_tokens) + " (shorten it)");
  }
  for (const int32_t id : text.ids) {
    if (id < 0 || id >= limits.vocab) {
      return invalid_argument("token id " + std::to_string(id) + " is outside the vocabulary of " +
                              std::to_string(limits.vocab));
    }
  }
  if (text.token_types.empty()) return ok_status();
  if (text.token_types.size() != text.ids.size()) {
    return invalid_argument("there are " + std::to_string(text.token_types.size()) + " token types for " +
                            std::to_string(text.ids.size()) + " tokens");
  }
  for (const int32_t type : text.token_types) {
    if (type < 0 || (type > 0 && type >= limits.n_token_types)) {
      return invalid_argument("token type " + std::to_string(type) + " is outside the model's " +
                              std::to_string(limits.n_token_types));
    }
  }
  return ok_status();
}

Status check_embedding_request(const EmbeddingRequest& request, const EmbedderLimits& limits) {
  const bool score = request.output == TextOutput::kScore;
  if (score && !limits.scores) return invalid_argument("this model does not score pairs of texts", "model");
  if (!score && !limits.embeds) return invalid_argument("this model gives no embeddings", "model");
  if (request.dimensions < 0 || request.dimensions > (score ? limits.n_labels : limits.dim)) {
    return invalid_argument(
        "dimensions is " + std::to_string(request.dimensions) + ", the model has " + std::to_string(limits.dim),
        "dimensions");
  }
  if (request.texts.empty()) return invalid_argument("there are no texts", "input");
  for (size_t i = 0; i < request.texts.size(); ++i) {
    const Status status = check_text(request.texts[i].tokens(), limits);
    if (status.ok()) continue;
    if (request.texts.size() == 1) return {status.code(), status.message(), "input"};
    return Status(status.code(), status.message(), "input").with_context("input " + std::to_string(i));
  }
  return ok_status();
}

}  // namespace strata
