// Documents packed into a flat batch of exactly so many tokens: one after the other, each a segment of its own that
// sees nothing of the others and counts its positions from 0. What does not fit goes on in the next batch, there too
// after the token that the model wants before every text.
//
// A text that the model wrote itself may join them: its prompt is there to be seen and counts for nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "compute/graph/batch.h"
#include "learn/data/document_stream.h"

namespace strata {

// The next piece of the stream's document, which the stream leaves behind: up to `most` tokens and the one after them.
// It begins with the token that the model wants before every text, if any. Fewer than two: nothing is to be learnt here.
Result<std::vector<TokenId>> take_piece(DocumentStream& stream, int64_t most);

class PackedBatch {
 public:
  // Takes the next tokens of the stream; segments have at most `context` of them. With `once` it stops at the end of
  // the stream's epoch and may stay shorter, or empty.
  Status fill(DocumentStream& stream, int64_t tokens, int64_t context, bool once = false);

  // After fill(): a text whose tokens after the first `n_prompt` the model wrote; these are its targets.
  void add_written(std::span<const TokenId> text, int64_t n_prompt);

  Batch batch() const;  // borrows; totals are left to the caller
  int64_t n_tokens() const { return static_cast<int64_t>(ids_.size()); }
  int64_t n_targets() const { return static_cast<int64_t>(targets_.size()); }
  int64_t n_written() const { return n_written_; }  // of the targets, the last ones

 private:
  void add(std::span<const TokenId> piece, size_t n_prompt);

  int64_t n_written_ = 0;
  std::vector<int32_t> ids_, positions_, query_begin_, context_len_, output_rows_, targets_;
};

}  // namespace strata
