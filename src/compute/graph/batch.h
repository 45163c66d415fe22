// Everything about one step that is not a weight: which tokens, where they stand, where their cache lives, which rows
// give logits. One flat batch carries prefill chunks and decode tokens of many sequences together.
//
// Borrowed: the spans must live until run() returns. Sizes: T tokens, S sequences, O output rows.
#pragma once

#include <cstdint>
#include <span>

namespace strata {

struct AdapterWeights;  // graph/adapter_weights.h

struct Batch {
  std::span<const int32_t> ids;          // [T] token ids
  std::span<const int32_t> positions;    // [T]
  std::span<const int32_t> token_types;  // [T] for models that have them: which text of a pair a token belongs to
  std::span<const int64_t> slots;        // [T] cache slot: block * block_tokens + offset
  std::span<const int32_t> query_begin;  // [S + 1] sequence s owns tokens [query_begin[s], query_begin[s+1])
  std::span<const int32_t> context_len;  // [S] tokens of the sequence in the cache after this step
  std::span<const int32_t> block_table;  // [S, block_table_stride]
  int64_t block_table_stride = 0;
  std::span<const int32_t> output_rows;  // [O] rows of T whose logits are wanted
  std::span<const int32_t> adapters;     // [T] index in adapter_weights per token, -1 none; empty: no adapters at all
  std::span<const AdapterWeights* const> adapter_weights;  // the adapters of this step
  std::span<const int32_t> long_rope;    // [T] 1: the token's sequence has outgrown the short context; empty: none has
  std::span<const int32_t> targets;      // [O] next-token ids for training, -1 ignored; empty in inference
  std::span<const float> target_weights;  // [O] factors of the targets' losses; empty: all 1
  // What a teacher says of the output rows (kernels: TopProbabilitiesArgs), for distillation: [O, k] and [O, k + 1].
  std::span<const int32_t> teacher_ids;
  std::span<const float> teacher_probabilities;
  std::span<const float> teacher_shares;  // [O] what the teacher counts in a row's loss; empty: as the graph says
  // A teacher's hidden states after some of its layers, each [T, its width].
  std::span<const std::span<const float>> teacher_hidden;
  // What the sum of the losses is divided by; 0: by the weights of this batch's targets. A step that accumulates over
  // several batches gives the sum over all of them.
  double target_total = 0;
  // Tokens of a step that accumulates over several batches; 0: as many as its target_total, or this batch is the step.
  double token_total = 0;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t sequences() const { return static_cast<int64_t>(context_len.size()); }
  int64_t outputs() const { return static_cast<int64_t>(output_rows.size()); }
};

}  // namespace strata
