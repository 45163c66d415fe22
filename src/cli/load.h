// The load that `strata bench serve` puts on a server: which requests at which time, sending them, and what became of
// each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/settings.h"

namespace strata::cli {

// `words` random words; the same seed gives the same words, and the first words of a longer piece.
struct PromptPiece {
  uint64_t seed = 0;
  int words = 0;
};

struct LoadJob {
  double at_s = 0;                  // after the start; closed loop: as soon as a client is free
  std::vector<PromptPiece> prompt;  // requests that begin with the same pieces share a prefix
  int max_tokens = 0;
};

std::string prompt_text(const std::vector<PromptPiece>& prompt);
// What the settings describe: their number of requests, alike in size, arriving by chance at --rate (a Poisson process)
// or, without a rate, as clients become free; or those of a trace.
Result<std::vector<LoadJob>> make_load(const Settings& settings);
// Two forms: rows "timestamp,context tokens,generated tokens" after a header, timestamps in HH:MM:SS.fraction (Azure
// LLM inference), and JSON lines with timestamp (milliseconds), input_length, output_length and hash_ids, one for each
// 512 tokens of the prompt (Mooncake). A word stands for a token.
Result<std::vector<LoadJob>> read_trace(const Settings& settings);

struct LoadTarget {
  std::string host;
  int port = 80;
  std::string model;
  int priority = 0;
};

struct LoadOutcome {
  int status = 0;      // HTTP's; 0: no answer
  std::string error;   // empty: the whole answer came
  double at_s = 0;     // sent, after the start of the load
  double first_s = 0;  // from the time it was due until the first token
  double total_s = 0;
  int prompt_tokens = 0;
  int tokens = 0;
  std::vector<double> gaps_s;  // between tokens
};

// In the order of the jobs. `clients` of 0: every request at its own time, whatever is still running.
std::vector<LoadOutcome> run_load(const LoadTarget& target, const std::vector<LoadJob>& jobs, int clients);

}  // namespace strata::cli
