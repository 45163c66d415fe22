// A training run: a recipe and a folder go in; the folder then has the model as config.json, model.safetensors and its
// tokenizer, the same as model.gguf, the log, a picture of the losses, and the checkpoint to go on from.
//
// Bit-equal: a run that was killed at any moment and resumed, with any number of threads, ends with the numbers of one
// that never stopped.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "compute/graph/plan/profile.h"
#include "compute/kernels/cpu_kernels.h"
#include "learn/train/recipe.h"
#include "learn/train/run_log.h"

namespace strata {

struct RunProgress {
  StepLog now;
  int64_t steps = 0;
  double seconds_left = 0;
};

struct RunOptions {
  std::filesystem::path out;
  bool resumes = false;
  uint64_t memory = 0;  // for all that the trainer plans; 0: the recipe says what is recomputed
  bool profiles = false;  // RunResult::profile
  std::function<void(const std::string& line)> on_message;  // what is going on, for people
  std::function<void(double share)> on_tokenizer;  // how much of the training of a tokenizer is done
  std::function<void(const RunProgress&)> on_step;
};

struct RunResult {
  int64_t steps = 0;
  int64_t parameters = 0;
  double loss = 0;             // of the last step
  double validation_loss = 0;  // 0: nothing is held out
  std::vector<ProfileRow> profile;  // where the time of the steps but the first went
};

// kInvalidArgument names the key, file or tensor at fault; a loss that is not finite is one that names step and layer.
Result<RunResult> run_training(const Recipe& recipe, const CpuKernels& kernels, ThreadPool& pool,
                               const RunOptions& options);

}  // namespace strata
