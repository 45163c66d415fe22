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
    const int64_t predicted = static_cast<int64_t>(document.size()) - 1;  // its last token predicts nothing
    const int64_t taken = std::min({predicted, context, tokens - n_targets()});
    if (taken > 0) add(document.first(static_cast<size_t>(taken)), document.subspan(1, static_cast<size_t>(taken)));
    if (taken == predicted) {
      stream.next_document();
    } else {
      stream.advance(taken);
    }
  }
  return ok_status();
}

void PackedBatch::add(std::span<const TokenId> inputs, std::span<const TokenId> targets) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    positions_.push_back(static_cast<int32_t>(i));
    output_rows_.push_back(static_cast<int32_t>(ids_.size()));
    ids_.push_back(inputs[i]);
    targets_.push_back(targets[i]);
  }
  query_begin_.push_back(static_cast<int32_t>(ids_.size()));
  context_len_.push_back(static_cast<int32_t>(inputs.size()));
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
