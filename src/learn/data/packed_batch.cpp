#include "learn/data/packed_batch.h"

#include <algorithm>

namespace strata {

Result<std::vector<TokenId>> take_piece(DocumentStream& stream, int64_t most) {
  ASSIGN_OR_RETURN(const std::span<const TokenId> document, stream.current());
  // What goes on in the middle of a document begins as a text of its own does, and the token that begins it stands
  // for those that are not seen; without such a token the first one predicts only.
  const bool begins = stream.begin() && stream.position().token > 0;
  const int64_t predicted = static_cast<int64_t>(document.size()) - (begins ? 0 : 1);
  const int64_t taken = std::min(predicted, most);
  std::vector<TokenId> piece;
  piece.reserve(static_cast<size_t>(taken + 1));
  if (begins) piece.push_back(*stream.begin());
  for (const TokenId id : document.first(static_cast<size_t>(taken + (begins ? 0 : 1)))) piece.push_back(id);
  if (taken == predicted) {
    stream.next_document();
  } else {
    stream.advance(stream.begin() && !begins ? taken + 1 : taken);
  }
  return piece;
}

Status PackedBatch::fill(DocumentStream& stream, int64_t tokens, int64_t context, bool once) {
  for (auto* list : {&ids_, &positions_, &query_begin_, &context_len_, &output_rows_, &targets_}) list->clear();
  n_written_ = 0;
  query_begin_.push_back(0);
  const int64_t epoch = stream.position().epoch;
  while (n_targets() < tokens) {
    RETURN_IF_ERROR(stream.current().status());  // which may begin the next epoch
    if (once && stream.position().epoch != epoch) break;
    ASSIGN_OR_RETURN(const std::vector<TokenId> piece, take_piece(stream, std::min(context, tokens - n_targets())));
    if (piece.size() > 1) add(piece, 1);
  }
  return ok_status();
}

void PackedBatch::add_written(std::span<const TokenId> text, int64_t n_prompt) {
  add(text, static_cast<size_t>(n_prompt));
  n_written_ += static_cast<int64_t>(text.size()) - n_prompt;
}

// A segment: all tokens but the last, each that is followed by one after the prompt with that one as its target.
void PackedBatch::add(std::span<const TokenId> piece, size_t n_prompt) {
  for (size_t i = 0; i + 1 < piece.size(); ++i) {
    positions_.push_back(static_cast<int32_t>(i));
    if (i + 1 >= n_prompt) {
      output_rows_.push_back(static_cast<int32_t>(ids_.size()));
      targets_.push_back(piece[i + 1]);
    }
    ids_.push_back(piece[i]);
  }
  query_begin_.push_back(static_cast<int32_t>(ids_.size()));
  context_len_.push_back(static_cast<int32_t>(piece.size() - 1));
}

Batch PackedBatch::batch() const {
  Batch batch;
  batch.ids = ids_;
  batch.positions = positions_;
  batch.query_begin = query_begin_;
  batch.context_len = context_len_;
  batch.output_rows = output_rows_;
  batch.targets = targets_;
  return batch;
}

}  // namespace strata
