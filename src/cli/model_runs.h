// Runs of a bare model for bench MODEL (no scheduler, no sampling): steps of a known shape, timed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compute/graph/plan/profile.h"
#include "engine/model_runner.h"
#include "engine/request.h"

namespace strata::cli {

struct RunTimes {
  double seconds = 0;  // of the prompt, or of a step
  double matmul_seconds = 0;
  double experts_share = 0;  // of all experts, those that a step used
  std::vector<ProfileRow> profile;
};

// A prompt of `tokens` tokens in chunks of the step's budget.
// With adapters: all of it with the first one.
Result<RunTimes> run_prefill(ModelRunner& runner, int64_t tokens, std::span<const AdapterRef> adapters = {});

// Gives `sequences` sequences the same computed context, so that decoding reads memory that holds something.
Status fill_context(ModelRunner& runner, int64_t sequences, int64_t context);
// Steps of one token for each of so many sequences at this context; the mean of a few, after one that does not count.
// With adapters: sequence s with number s modulo their count.
Result<RunTimes> run_decode(ModelRunner& runner, int64_t sequences, int64_t context,
                            std::span<const AdapterRef> adapters = {});
// Cache blocks that this takes.
int64_t decode_blocks(int64_t sequences, int64_t context);

}  // namespace strata::cli
