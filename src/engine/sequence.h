// One stream of tokens with its place in the cache: a choice of a request as the scheduler sees it. Only the scheduler
// changes it; the engine reads.
//
//   waiting --admit--> running --finish--> (gone)
//      ^                  |
//      +----- preempt ----+        its blocks are given back; everything is computed again later
//
// computed <= scheduled <= tokens.size(). Tokens in [computed, scheduled) are in flight: part of steps that were
// planned and not yet committed. The table covers at least the scheduled tokens.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "engine/block_pool.h"
#include "model/text/tokenizer.h"

namespace strata {

struct AdapterWeights;  // graph/adapter_weights.h

// Who goes first: lower ranks do. Unique per sequence; kept through preemption, so nobody is overtaken for ever.
struct SequenceRank {
  int priority = 0;
  uint64_t arrival = 0;  // of the request
  int choice = 0;
  auto operator<=>(const SequenceRank&) const = default;
};

// What the scheduler is told about a new sequence.
struct SequenceSpec {
  SequenceRank rank;
  std::vector<TokenId> prompt;
  bool samples = true;           // false: only the prompt is computed
  bool prompt_logprobs = false;  // wants a row of logits for every prompt token but the first
  std::shared_ptr<const AdapterWeights> adapter;  // held by the request too
  std::string cache_salt;
  TimePoint arrived{};
  std::optional<TimePoint> deadline;
};

enum class SequenceState : uint8_t { kWaiting, kRunning, kFinished };  // finished: only while a step is in flight

struct Sequence {
  SequenceRank rank;
  SequenceState state = SequenceState::kWaiting;
  std::vector<TokenId> tokens;  // prompt, then what was sampled
  int n_prompt = 0;
  bool samples = true;
  std::shared_ptr<const AdapterWeights> adapter;  // null: none
  TimePoint arrived{};
  bool outgrown = false;  // longer than the short context: computed with the long rotary frequencies
  std::optional<TimePoint> deadline;

  int scheduled = 0;
  int computed = 0;
  int in_flight = 0;  // steps that hold tokens of it
  std::vector<Block> table;
  int next_prompt_row = 0;  // first prompt position whose row of logits is still to be planned
  int end_prompt_rows = 0;  // n_prompt - 1 when prompt logprobs are wanted, else 0

  std::vector<Hash128> names;  // of its full blocks, as far as they were needed; names[0] is the root
  int published = 0;           // blocks offered to the prefix index
  std::vector<Hash128> claims;
  int known_blocks = 0;  // while it waits: leading blocks that the prefix index had when it was last asked

  std::optional<TimePoint> first_scheduled;
  int cached_tokens = 0;  // found in the prefix cache before the first token was sampled
  int preemptions = 0;

  int length() const { return static_cast<int>(tokens.size()); }
  // Nothing was sampled yet, and nothing is computed a second time.
  bool is_first_pass() const { return preemptions == 0 && length() == n_prompt; }
  int remaining() const { return length() - scheduled; }
};

}  // namespace strata
