// What a client asks of the embedding engine and what it hears back. Plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/embedder.h"
#include "model/text/tokenizer.h"

namespace strata {

struct TextInput {
  std::vector<TokenId> ids;
  std::vector<int32_t> token_types;  // as many, or empty: all 0
  TextTokens tokens() const { return {ids, token_types}; }
};

struct EmbeddingRequest {
  std::vector<TextInput> texts;  // not empty; answered in this order
  TextOutput output = TextOutput::kMean;
  int dimensions = 0;      // only the first numbers of each row; 0: all
  bool normalize = false;  // then to length 1
};

// Rows of some texts of a request, in the order of the request. The last event has `last`; with an error it has no
// rows.
struct EmbeddingEvent {
  size_t first = 0;  // the rows are of the texts from this one on
  size_t dim = 0;
  std::vector<float> rows;  // [texts, dim]
  bool last = false;
  int64_t tokens = 0;  // of the whole request, with the last event
  Status error;        // kCancelled after cancel() or when the engine shuts down
};
using EmbeddingSink = std::function<void(EmbeddingEvent&&)>;

// kInvalidArgument: an empty text, one longer than the model's (with both numbers), ids outside the vocabulary, token
// types that do not fit.
Status check_text(const TextTokens& text, const EmbedderLimits& limits);
// The same for all texts, and that the model gives what is wanted.
Status check_embedding_request(const EmbeddingRequest& request, const EmbedderLimits& limits);

}  // namespace strata
