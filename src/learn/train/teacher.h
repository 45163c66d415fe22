// The teacher of a distillation: a model that runs beside the one that is trained, forward only, on the same batches.
// Of each position it says its most probable tokens, never all of them.
//
// One thread uses it; the compute threads are the pool's.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "compute/graph/plan/context.h"
#include "compute/kernels/cpu_kernels.h"
#include "learn/train/distillation.h"
#include "model/model.h"

namespace strata {

class Teacher {
 public:
  // The model of options.teacher, of any weight type, for batches of up to max_tokens. The student's tokenizer and
  // logits: kInvalidArgument where the teacher's are others.
  static Result<std::unique_ptr<Teacher>> open(const DistillationOptions& options, const Tokenizer& tokenizer,
                                               int64_t vocab, const CpuKernels& kernels, ThreadPool& pool,
                                               int64_t max_tokens);

  // Runs the batch and lets it borrow what the teacher says, until the next call.
  void teach(Batch& batch);

  int64_t top_k() const { return top_k_; }  // options.top_k, or the vocabulary where that is smaller
  const Model& model() const { return *model_; }
  int64_t width() const { return model_->config().hidden; }
  uint64_t bytes() const { return binder_.bound_bytes() + context_->plan().arena_bytes(); }

 private:
  Teacher(std::unique_ptr<Model> model, ThreadPool& pool)
      : model_(std::move(model)), binder_(model_->weights(), pool) {}

  std::unique_ptr<Model> model_;
  WeightBinder binder_;
  std::unique_ptr<ExecutionContext> context_;
  std::vector<std::span<const float>> hidden_;  // of the last batch
  int64_t top_k_ = 0;
};

}  // namespace strata
