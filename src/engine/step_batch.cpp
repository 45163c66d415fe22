#include "engine/step_batch.h"

#include <algorithm>

namespace strata {

const Batch& StepBatch::build(const StepPlan& plan) {
  for (auto* list : {&ids_, &positions_, &query_begin_, &context_len_, &output_rows_, &adapters_, &long_rope_}) list->clear();
  slots_.clear();
  adapter_weights_.clear();
  size_t stride = 0;
  bool outgrown = false;
  for (const StepEntry& entry : plan.entries) {
    stride = std::max(stride, entry.sequence->table.size());
    outgrown = outgrown || entry.sequence->outgrown;
  }
  block_table_.assign(plan.entries.size() * stride, 0);
  query_begin_.push_back(0);
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    add(plan.entries[i]);
    std::transform(plan.entries[i].sequence->table.begin(), plan.entries[i].sequence->table.end(),
                   block_table_.begin() + static_cast<std::ptrdiff_t>(i * stride),
                   [](const Block& block) { return block.id(); });
  }
  if (adapter_weights_.empty()) adapters_.clear();
  if (!outgrown) long_rope_.clear();
  batch_.ids = ids_;
  batch_.positions = positions_;
  batch_.slots = slots_;
  batch_.query_begin = query_begin_;
  batch_.context_len = context_len_;
  batch_.block_table = block_table_;
  batch_.block_table_stride = static_cast<int64_t>(stride);
  batch_.output_rows = output_rows_;
  batch_.adapters = adapters_;
  batch_.adapter_weights = adapter_weights_;
  batch_.long_rope = long_rope_;
  return batch_;
}

// The adapter's index in this step.
int32_t StepBatch::slot_of(const AdapterWeights& adapter) {
  const auto known = std::find(adapter_weights_.begin(), adapter_weights_.end(), &adapter);
  const auto slot = static_cast<int32_t>(known - adapter_weights_.begin());
  if (known == adapter_weights_.end()) adapter_weights_.push_back(&adapter);
  return slot;
}

void StepBatch::add(const StepEntry& entry) {
  const Sequence& sequence = *entry.sequence;
  const int first_row = static_cast<int>(ids_.size());
  const int32_t adapter = sequence.adapter == nullptr ? -1 : slot_of(*sequence.adapter);
  for (int position = entry.begin; position < entry.begin + entry.count; ++position) {
    ids_.push_back(sequence.tokens[static_cast<size_t>(position)]);
    positions_.push_back(position);
    const int64_t block = sequence.table[static_cast<size_t>(position / block_tokens_)].id();
    slots_.push_back(block * block_tokens_ + position % block_tokens_);
    adapters_.push_back(adapter);
    long_rope_.push_back(sequence.outgrown ? 1 : 0);
  }
  query_begin_.push_back(static_cast<int32_t>(ids_.size()));
  context_len_.push_back(entry.begin + entry.count);
  for (int i = 0; i < entry.n_prompt_rows; ++i)
    output_rows_.push_back(first_row + entry.first_prompt_row + i - entry.begin);
  if (entry.samples) output_rows_.push_back(first_row + entry.count - 1);
}

}  // namespace strata
