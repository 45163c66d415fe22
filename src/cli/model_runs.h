// Runs of a bare model for bench MODEL (no scheduler, no sampling): steps of a known shape, timed.
#pragma once

#include <string>
#include <vector>

#include "compute/graph/plan/profile.h"
#include "engine/model_runner.h"

namespace strata::cli {

struct RunTimes {
  double seconds = 0;  // of the prompt, or of a step
  double matmul_seconds = 0;
  double experts_share = 0;  // of all experts, those that a step used
  std::vector<ProfileRow> profile;
};

// A prompt of `tokens` tokens in chunks of the step's budget.
Result<RunTimes> run_prefill(ModelRunner& runner, int64_t tokens);

// Gives `sequences` sequences the same computed context, so that decoding reads memory that holds something.
Status fill_context(ModelRunner& runner, int64_t sequences, int64_t context);
// Steps of one token for each of so many sequences at this context; the mean of a few, after one that does not count.
Result<RunTimes> run_decode(ModelRunner& runner, int64_t sequences, int64_t context);
// Cache blocks that this takes.
int64_t decode_blocks(int64_t sequences, int64_t context);

}  // namespace strata::cli
