// A deterministic model that notices every mistake in slots, block tables, sharing and copying: a cache slot holds a
// hash of its token and of ALL slots before it, read through the block table it was given, and logits are a hash of all
// slots up to their position. It also fails the test when a batch breaks the rules of batch.h or reads what it must
// not.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "compute/graph/adapter_weights.h"
#include "engine/request.h"
#include "engine/runner.h"

namespace strata {

inline uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = (a ^ (b + 0x9E3779B97F4A7C15)) * 0xBF58476D1CE4E5B9;
  x ^= x >> 29;
  x *= 0x94D049BB133111EB;
  return x ^ (x >> 32);
}

// An adapter that FakeRunner tells from others.
inline AdapterRef fake_adapter(uint64_t number) {
  auto adapter = std::make_shared<AdapterWeights>();
  adapter->identity = {number, 1};  // never that of none
  return adapter;
}

class FakeRunner final : public Runner {
 public:
  explicit FakeRunner(const RunnerLimits& limits)
      : limits_(limits),
        slots_(static_cast<size_t>(limits.n_blocks) * static_cast<size_t>(limits.block_tokens)),
        written_in_(slots_.size()),
        written_by_(slots_.size()),
        long_rope_(slots_.size()) {}

  const RunnerLimits& limits() const override { return limits_; }

  Result<std::span<const float>> run(const Batch& batch) override {
    ++steps_;
    check(batch);
    if (steps_ == fail_at_step) return internal_error("the device is gone");
    contexts_.assign(batch.ids.size(), 0);
    for (size_t s = 0; s < batch.context_len.size(); ++s) run_sequence(batch, s);
    logits_.clear();
    for (const int32_t row : batch.output_rows) {
      for (int token = 0; token < limits_.vocab; ++token) {
        const uint64_t bits = mix(contexts_[static_cast<size_t>(row)], static_cast<uint64_t>(token));
        logits_.push_back(static_cast<float>(bits >> 40) * 0x1p-24f * 9 - 4);
      }
    }
    tokens_ += batch.ids.size();
    return std::span<const float>(logits_);
  }

  void copy_block(int from, int to) override {
    ++copies_;
    for (int i = 0; i < limits_.block_tokens; ++i) {
      slots_[slot(to, i)] = slots_[slot(from, i)];
      long_rope_[slot(to, i)] = long_rope_[slot(from, i)];
      written_in_[slot(to, i)] = 0;
    }
  }
  void clear_block(int block) override {
    for (int i = 0; i < limits_.block_tokens; ++i) slots_[slot(block, i)] = 0;
  }

  uint64_t tokens() const { return tokens_; }  // computed in all
  int steps() const { return steps_; }
  int copies() const { return copies_; }
  int fail_at_step = -1;

 private:
  size_t slot(int block, int offset) const {
    return static_cast<size_t>(block) * static_cast<size_t>(limits_.block_tokens) + static_cast<size_t>(offset);
  }

  void check(const Batch& batch) const {
    const size_t tokens = batch.ids.size();
    ASSERT_GT(tokens, 0u);
    ASSERT_LE(tokens, static_cast<size_t>(limits_.max_batch_tokens));
    ASSERT_LE(batch.context_len.size(), static_cast<size_t>(limits_.max_sequences));
    ASSERT_LE(batch.output_rows.size(), static_cast<size_t>(limits_.max_outputs));
    ASSERT_EQ(batch.positions.size(), tokens);
    ASSERT_EQ(batch.slots.size(), tokens);
    ASSERT_EQ(batch.query_begin.size(), batch.context_len.size() + 1);
    ASSERT_EQ(static_cast<size_t>(batch.query_begin.back()), tokens);
    ASSERT_EQ(batch.block_table.size(), batch.context_len.size() * static_cast<size_t>(batch.block_table_stride));
    ASSERT_TRUE(batch.adapters.empty() || batch.adapters.size() == tokens);
    ASSERT_TRUE(batch.long_rope.empty() || batch.long_rope.size() == tokens);
    for (const int32_t block : batch.block_table) ASSERT_TRUE(block >= 0 && block < limits_.n_blocks);
    for (const int32_t row : batch.output_rows) ASSERT_TRUE(row >= 0 && static_cast<size_t>(row) < tokens);
  }

  void run_sequence(const Batch& batch, size_t s) {
    const auto table = batch.block_table.subspan(s * static_cast<size_t>(batch.block_table_stride));
    const int count = batch.query_begin[s + 1] - batch.query_begin[s];
    ASSERT_GT(count, 0);
    uint64_t context = 1;
    const int32_t long_rope =
        batch.long_rope.empty() ? 0 : batch.long_rope[static_cast<size_t>(batch.query_begin[s])];
    if (limits_.short_context == 0 || batch.context_len[s] > limits_.short_context) {
      ASSERT_EQ(long_rope, limits_.short_context > 0 ? 1 : 0);
    }
    const auto read = [&](int position) {
      const size_t at =
          slot(table[static_cast<size_t>(position / limits_.block_tokens)], position % limits_.block_tokens);
      if (long_rope_[at] != long_rope) ADD_FAILURE() << "position " << position << " was rotated for another length";
      if (slots_[at] == 0) ADD_FAILURE() << "position " << position << " is read before it was written";
      if (written_in_[at] == steps_ && written_by_[at] != s)
        ADD_FAILURE() << "read in the step that writes it elsewhere";
      context = mix(context, slots_[at]);
    };
    const int begin = batch.context_len[s] - count;
    for (int position = 0; position < begin; ++position) read(position);
    for (int i = 0; i < count; ++i) {
      const size_t token = static_cast<size_t>(batch.query_begin[s] + i);
      const int position = begin + i;
      ASSERT_EQ(batch.positions[token], position);
      const size_t at =
          slot(table[static_cast<size_t>(position / limits_.block_tokens)], position % limits_.block_tokens);
      ASSERT_EQ(static_cast<size_t>(batch.slots[token]), at);
      ASSERT_EQ(slots_[at], 0u) << "a slot is written twice";
      const int32_t slot = batch.adapters.empty() ? -1 : batch.adapters[token];
      ASSERT_LT(slot, static_cast<int32_t>(batch.adapter_weights.size()));
      const uint64_t adapter = slot < 0 ? 1 : batch.adapter_weights[static_cast<size_t>(slot)]->identity.low + 2;
      ASSERT_EQ(batch.long_rope.empty() ? 0 : batch.long_rope[token], long_rope);
      long_rope_[at] = long_rope;
      slots_[at] = mix(mix(context, static_cast<uint64_t>(batch.ids[token])),
                       adapter + 64 * static_cast<uint64_t>(long_rope)) |
                   1;
      written_in_[at] = steps_;
      written_by_[at] = s;
      read(position);
      contexts_[token] = context;
    }
  }

  const RunnerLimits limits_;
  std::vector<uint64_t> slots_;
  std::vector<int> written_in_;     // step
  std::vector<size_t> written_by_;  // sequence of that step
  std::vector<int32_t> long_rope_;  // how a slot's token was rotated
  std::vector<uint64_t> contexts_;
  std::vector<float> logits_;
  uint64_t tokens_ = 0;
  int steps_ = 0;
  int copies_ = 0;
};

}  // namespace strata
