// Runs of a bare model for bench MODEL (no scheduler, no sampling): steps of a known shape, timed.
#pragma once

#include <string>
#include <vector>

#include "engine/model_runner.h"

namespace strata::cli {

// What all threads did during the steps of a measurement, most seconds first.
struct ProfileRow {
  std::string what;    // "matmul Q4_K 5632x2048", "rms_norm+to_activation", "waiting"
  double seconds = 0;  // of all threads together, over all steps
  double share = 0;    // of the threads' time
  double gops = 0;     // matmuls of all threads: operations and bytes (of the file's type) per second
  double gbs = 0;
};

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
