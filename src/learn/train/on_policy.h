// On-policy distillation (https://arxiv.org/abs/2306.13649): a share of each step's tokens are texts that the student
// writes itself. It goes on from the first tokens of documents, the same that the corpus would have given, with the weights
// that it has at that step; what it is taught there is what the teacher says of the student's own tokens.
//
// What is written is a function of the weights, the run's seed, the step and the text's number in it: of no thread, no
// batch and no earlier step. One thread uses it.
#pragma once

#include <vector>

#include "base/status.h"
#include "engine/runner.h"
#include "learn/data/document_stream.h"
#include "learn/data/packed_batch.h"
#include "learn/train/distillation.h"
#include "model/arch/architecture.h"

namespace strata {

class OnPolicy {
 public:
  struct Sizes {
    int64_t batches = 1;       // of a step
    int64_t batch_tokens = 0;  // of each
    int64_t context = 0;       // most tokens that see each other
  };
  // kInvalidArgument: the share has no room for a text.
  static Result<OnPolicy> make(const OnPolicyOptions& options, const Sizes& sizes, uint64_t seed);

  // What the runner of the student has to hold.
  RunnerLimits limits(const ModelConfig& model) const;
  int64_t corpus_tokens() const { return corpus_tokens_; }  // of each batch

  // Lets the student write all texts of a step.
  Status write(Runner& student, const Tokenizer& tokenizer, DocumentStream& stream, int64_t step);
  // Those of the step's batch with this number; `batch` has the tokens of the corpus.
  void add_to(PackedBatch& batch, int64_t number) const;
  // For each target of the batch: what the teacher counts, `weight` or all. Valid until the next call.
  std::span<const float> shares(const PackedBatch& batch, double weight);

  // Time spent on writing since the last measure().
  double seconds() const { return seconds_; }
  void measure() { seconds_ = 0; }

 private:
  OnPolicy(const OnPolicyOptions& options, int64_t texts, int64_t corpus_tokens, int64_t batches, uint64_t seed)
      : options_(options), texts_(texts), corpus_tokens_(corpus_tokens), batches_(batches), seed_(seed) {}
  struct Text {
    std::vector<TokenId> tokens;  // prompt, then what was written
    int64_t n_prompt = 0;
    Status failure;
  };
  Status take_prompts(DocumentStream& stream);

  OnPolicyOptions options_;
  int64_t texts_;  // of a batch
  int64_t corpus_tokens_;
  int64_t batches_;
  uint64_t seed_;
  std::vector<Text> written_;
  std::vector<float> shares_;
  double seconds_ = 0;
};

}  // namespace strata
