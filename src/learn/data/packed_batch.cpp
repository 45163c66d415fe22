#include "learn/data/packed_batch.h"

#include <algorithm>

namespace strata {

Status PackedBatch::fill(DocumentStream& stream, int64_t tokens, int64_t context, bool once) {
  for (auto* list : {&ids_, &positions_, &query_begin_, &context_len_, &output_rows_, &targets_}) list->clear();
  query_begin_.push_back(0);
  const int64_t epoch = stream.position().epoch;
  while (n_targets() < tokens) {
    ASSIGN_OR_RETURN(const std::span<const TokenId> document, stream.current());
    if (once && stream.position().epoch != epoch) break;
    // What goes on in the middle of a document begins as a text of its own does, and the token that begins it stands
    // for those that are not seen; without such a token the first one predicts only.
    const bool begins = stream.begin() && stream.position().token > 0;
    const int64_t predicted = static_cast<int64_t>(document.size()) - (begins ? 0 : 1);
    const int64_t taken = std::min({predicted, context, tokens - n_targets()});
    if (taken > 0) add(begins ? stream.begin() : std::nullopt, document, static_cast<size_t>(taken));
    if (taken == predicted) {
      stream.next_document();
    } else {
      stream.advance(stream.begin() && !begins ? taken + 1 : taken);
    }
  }
  return ok_status();
}

// `n` positions: of the document's tokens, or of `begin` and these, each with the token after it.
void PackedBatch::add(std::optional<TokenId> begin, std::span<const TokenId> document, size_t n) {
  const size_t ahead = begin ? 0 : 1;
  for (size_t i = 0; i < n; ++i) {
    positions_.push_back(static_cast<int32_t>(i));
    output_rows_.push_back(static_cast<int32_t>(ids_.size()));
    ids_.push_back(begin ? (i == 0 ? *begin : document[i - 1]) : document[i]);
    targets_.push_back(document[i + ahead]);
  }
  query_begin_.push_back(static_cast<int32_t>(ids_.size()));
  context_len_.push_back(static_cast<int32_t>(n));
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
