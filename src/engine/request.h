// What a client asks of the engine and what it hears back. Plain values; no socket, no thread, no model.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "model/text/tokenizer.h"

namespace strata {

struct SamplingParams {
  float temperature = 1;           // 0: greedy
  int top_k = 0;                   // 0: all
  float top_p = 1;
  float min_p = 0;
  float typical_p = 1;
  float repetition_penalty = 1;    // over prompt and answer, as in CTRL (https://arxiv.org/abs/1909.05858)
  float presence_penalty = 0;      // over the answer, as OpenAI defines them
  float frequency_penalty = 0;
  std::map<TokenId, float> logit_bias;
  uint64_t seed = 0;               // random numbers are a function of (seed, choice, position)
};

// Restricts the next token: grammars and schemas implement it. One object per choice; called on the engine thread.
class TokenMask {
 public:
  virtual ~TokenMask() = default;
  // Bit i of allowed[i / 64] says whether token i may come next; the span covers the vocabulary.
  virtual void fill(std::vector<uint64_t>& allowed) = 0;
  virtual void accept(TokenId token) = 0;
  virtual std::unique_ptr<TokenMask> clone() const = 0;  // for n > 1
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
};

struct PositionLogprobs {
  TokenLogprob chosen;
  int rank = 0;                    // rank of the chosen token in the unmodified distribution, 1 = most likely
  std::vector<TokenLogprob> top;   // most likely first
};

enum class FinishReason : uint8_t { kNone, kStop, kLength, kCancelled, kError };

struct Usage {
  int prompt_tokens = 0;
  int completion_tokens = 0;
  int cached_tokens = 0;           // prompt tokens found in the prefix cache
};

// One event of one choice. A request ends with exactly one event per choice with finish != kNone, and the last event of
// the request has `last` set and carries the usage of all choices.
struct Event {
  int choice = 0;
  std::vector<TokenId> tokens;                 // new tokens whose text is certain or held back
  std::string text;                            // new text; never half a character, never part of a stop string
  std::vector<PositionLogprobs> logprobs;      // one per token when asked for
  std::vector<PositionLogprobs> prompt_logprobs;  // with the first event when asked for: positions 1..n-1 of the prompt
  FinishReason finish = FinishReason::kNone;
  std::string stop_text;                       // the stop string that matched
  Status error;                                // with kError
  bool last = false;
  Usage usage;                                 // with `last`
};

// Receives the events of one request on the engine thread; must return at once (push to a queue). Destroyed after `last`.
using EventSink = std::function<void(Event&&)>;

struct Request {
  std::string id;                              // echoed in logs
  std::vector<TokenId> prompt;                 // not empty
  SamplingParams sampling;
  int n = 1;                                   // choices that share the prompt
  int max_tokens = 16;                         // per choice; >= 0 (0: only the prompt is computed, for echo)
  int min_tokens = 0;                          // end tokens and stop strings are not taken before
  std::vector<std::string> stop;
  std::vector<TokenId> stop_tokens;            // in addition to the model's own end tokens
  bool ignore_eos = false;
  int logprobs = -1;                           // -1: none; k: the chosen one and the k most likely
  int prompt_logprobs = -1;
  int priority = 0;                            // lower goes first
  std::optional<Duration> timeout;             // from submission; then the request ends with kDeadline
  std::shared_ptr<const TokenMask> mask;       // prototype, cloned per choice; shared: the front door keeps grammars
  std::string cache_salt;                      // tenants with different salts never share cached prefixes
  int adapter = -1;
};

}  // namespace strata
