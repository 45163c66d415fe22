// What the embedding engine needs of a model: whole texts in, one row for each out. The real one executes a plan
// (engine/model_embedder.h); tests use fakes. Called from one thread at a time.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"

namespace strata {

// What a row is. The first three are of the final hidden states.
enum class TextOutput : uint8_t { kMean, kFirst, kLast, kPooler, kScore };

struct EmbedderLimits {
  int vocab = 0;
  int max_text_tokens = 0;   // of one text
  int max_batch_tokens = 0;  // of one step, unless one longer text is alone in it
  int max_texts = 0;         // of one step
  int n_token_types = 0;     // 0: the model does not look at them
  bool embeds = false;       // what it gives
  bool scores = false;
  int dim = 0;       // numbers of an embedding
  int n_labels = 0;  // numbers of a score
};

// A text, or a pair of texts, with its special tokens.
struct TextTokens {
  std::span<const int32_t> ids;
  std::span<const int32_t> token_types;  // as many, or empty: all 0
};

class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual const EmbedderLimits& limits() const = 0;
  // Computes the texts. An error fails this step only.
  virtual Status run(std::span<const TextTokens> texts) = 0;
  // Of the last run: [texts, dim] or [texts, n_labels], valid until the next; empty when the model has no such output.
  virtual std::span<const float> rows(TextOutput output) = 0;
};

}  // namespace strata
