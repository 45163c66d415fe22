// Documents packed into a flat batch of exactly so many tokens: one after the other, each a segment of its own that
// sees nothing of the others and counts its positions from 0. What does not fit goes on in the next batch, there too
// after the token that the model wants before every text.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "compute/graph/batch.h"
#include "learn/data/document_stream.h"

namespace strata {

class PackedBatch {
 public:
  // Takes the next tokens of the stream; segments have at most `context` of them. With `once` it stops at the end of
  // the stream's epoch and may stay shorter, or empty.
  Status fill(DocumentStream& stream, int64_t tokens, int64_t context, bool once = false);

  Batch batch() const;  // borrows; target_total is left to the caller
  int64_t n_targets() const { return static_cast<int64_t>(targets_.size()); }

 private:
  void add(std::optional<TokenId> begin, std::span<const TokenId> document, size_t n);

  std::vector<int32_t> ids_, positions_, query_begin_, context_len_, output_rows_, targets_;
};

}  // namespace strata
