// How a model makes one vector of a text, as its files say: sentence-transformers' modules.json and what it points to,
// or GGUF's pooling_type.
#pragma once

#include <cstdint>
#include <optional>

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

enum class Pooling : uint8_t { kMean, kFirst, kLast };  // over all tokens; of the first ("cls"); of the last

struct EmbeddingDefaults {
  std::optional<Pooling> pooling;
  std::optional<bool> normalize;      // to length 1
  std::optional<int64_t> max_tokens;  // of one text
};

// Absent fields: the files do not say. kInvalidArgument names the file and the field, and modules that Strata does not
// compute (Dense, max pooling ...), which would make other vectors than the model's.
Result<EmbeddingDefaults> read_embedding_defaults(const Checkpoint& checkpoint);

}  // namespace strata
