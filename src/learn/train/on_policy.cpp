#include "learn/train/on_policy.h"

#include <algorithm>

#include "engine/step_loop.h"
#include "learn/data/shuffle.h"

namespace strata {
namespace {

constexpr int64_t kTogether = 64;        // texts that are written at once: what logits and cache take memory for
constexpr int64_t kStepTokens = 512;     // of prompts and new tokens in one run of the student
constexpr uint64_t kWriting = uint64_t{3} << 62;  // a stream of random numbers (document_stream.cpp has the others)

}  // namespace

Result<OnPolicy> OnPolicy::make(const OnPolicyOptions& options, const Sizes& sizes, uint64_t seed) {
  const std::string together = "distill: prompt_tokens and max_new_tokens are " + std::to_string(options.most()) +
                               " together, ";
  if (options.most() > sizes.context)
    return invalid_argument(together + "run.context is " + std::to_string(sizes.context) + " (lower max_new_tokens)");
  const auto room = static_cast<int64_t>(options.share * static_cast<double>(sizes.batch_tokens));
  const int64_t texts = room / options.most();
  if (texts < 1) {
    return invalid_argument(together + "on_policy leaves " + std::to_string(room) +
                            " of run.micro_tokens for them (raise one of these two, or lower max_new_tokens)");
  }
  const int64_t corpus = options.share == 1 ? 0 : sizes.batch_tokens - texts * options.most();
  return OnPolicy(options, texts, corpus, sizes.batches, seed);
}

RunnerLimits OnPolicy::limits(const ModelConfig& model) const {
  RunnerLimits limits;
  limits.vocab = static_cast<int>(model.vocab);
  limits.max_context = static_cast<int>(options_.most());
  limits.short_context = static_cast<int>(model.short_context);
  limits.max_sequences = static_cast<int>(std::min(kTogether, texts_ * batches_));
  limits.max_batch_tokens = static_cast<int>(std::min(kStepTokens, limits.max_sequences * options_.most()));
  limits.max_outputs = std::min(limits.max_sequences, limits.max_batch_tokens);
  return limits;
}

// The beginnings of the pieces that the corpus would have given.
Status OnPolicy::take_prompts(DocumentStream& stream) {
  written_.clear();
  while (static_cast<int64_t>(written_.size()) < texts_ * batches_) {
    ASSIGN_OR_RETURN(std::vector<TokenId> piece, take_piece(stream, options_.most()));
    if (piece.size() < 2) continue;
    const size_t n = std::min(static_cast<size_t>(options_.prompt_tokens), piece.size() - 1);  // never the end token
    piece.resize(n);
    written_.push_back({std::move(piece), static_cast<int64_t>(n), ok_status()});
  }
  return ok_status();
}

Status OnPolicy::write(Runner& student, const Tokenizer& tokenizer, DocumentStream& stream, int64_t step) {
  const TimePoint start = steady_clock().now();
  RETURN_IF_ERROR(take_prompts(stream));
  EngineCounters counters;
  EngineOptions engine;
  engine.max_batch_tokens = student.limits().max_batch_tokens;
  // A loop of its own for each step: what another has in its prefix cache was computed with other weights.
  StepLoop loop(student, tokenizer, engine, steady_clock(), counters, nullptr, nullptr);
  for (size_t i = 0; i < written_.size(); ++i) {
    Submission submission;
    submission.handle = i + 1;
    submission.request.prompt = written_[i].tokens;
    submission.request.max_tokens = static_cast<int>(options_.max_new_tokens);
    submission.request.sampling.temperature = static_cast<float>(options_.temperature);
    submission.request.sampling.seed = random_bits(seed_, kWriting + static_cast<uint64_t>(step), i);
    submission.submitted = steady_clock().now();
    submission.sink = [&text = written_[i]](Event&& event) {
      text.tokens.insert(text.tokens.end(), event.tokens.begin(), event.tokens.end());
      if (event.finish == FinishReason::kError) text.failure = event.error;
    };
    loop.add(std::move(submission));
  }
  while (loop.step()) {
  }
  for (const Text& text : written_) RETURN_IF_ERROR(text.failure);
  seconds_ += to_seconds(steady_clock().now() - start);
  return ok_status();
}

void OnPolicy::add_to(PackedBatch& batch, int64_t number) const {
  for (int64_t i = number * texts_; i < (number + 1) * texts_; ++i) {
    const Text& text = written_[static_cast<size_t>(i)];
    batch.add_written(text.tokens, text.n_prompt);
  }
}

std::span<const float> OnPolicy::shares(const PackedBatch& batch, double weight) {
  shares_.assign(static_cast<size_t>(batch.n_targets()), static_cast<float>(weight));
  std::fill(shares_.end() - batch.n_written(), shares_.end(), 1.0F);
  return shares_;
}

}  // namespace strata
