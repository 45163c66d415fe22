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

struct AdapterWeights;  // graph/adapter_weights.h

// Shared with whoever offers the adapter by name: it is freed with its last request.
using AdapterRef = std::shared_ptr<const AdapterWeights>;

// How a token is drawn from the logits. Order: logit_bias, penalties, token mask; then greedy, or temperature, min_p,
// top_k, top_p, typical_p, each on the renormalised rest of the one before. Ties go to the lower id everywhere.
struct SamplingParams {
  float temperature = 1;         // 0: greedy
  int top_k = 0;                 // 0: all
  float top_p = 1;               // (0, 1]
  float min_p = 0;               // [0, 1]: drops what is less likely than min_p times the most likely token
  float typical_p = 1;           // (0, 1]: locally typical sampling (https://arxiv.org/abs/2202.00666)
  float repetition_penalty = 1;  // over prompt and answer, as in CTRL (https://arxiv.org/abs/1909.05858)
  float presence_penalty = 0;    // over the answer, as OpenAI defines them
  float frequency_penalty = 0;
  std::map<TokenId, float> logit_bias;
  uint64_t seed = 0;  // random numbers are a function of (seed, choice, position); the caller draws one
                      // when the client gave none
};

// Restricts the next token: grammars and schemas implement it. One object per choice; called on the engine thread.
class TokenMask {
 public:
  virtual ~TokenMask() = default;
  // Bit i % 64 of allowed[i / 64] says whether token i may come next; the vector covers the vocabulary and arrives
  // zeroed. End tokens are allowed only where the mask says so. When nothing is allowed the request ends with kError.
  virtual void fill(std::vector<uint64_t>& allowed) = 0;
  virtual void accept(TokenId token) = 0;                // was chosen; not called for an end token
  virtual std::unique_ptr<TokenMask> clone() const = 0;  // for n > 1
};

// Log-probabilities are of the model's own distribution: log-softmax of the logits before bias, penalties, mask and
// temperature.
struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
};

struct PositionLogprobs {
  TokenLogprob chosen;
  int rank = 0;                   // rank of the chosen token in the unmodified distribution, 1 = most likely
  std::vector<TokenLogprob> top;  // most likely first
};

enum class FinishReason : uint8_t {
  kNone,
  kStop,       // an end token, a stop token or a stop string
  kLength,     // max_tokens
  kCancelled,  // by Engine::cancel, or the engine shuts down
  kError,      // Event::error says why; code kDeadline when the request's timeout passed
};

struct Usage {
  int prompt_tokens = 0;      // once, however many choices
  int completion_tokens = 0;  // of all choices, end tokens included
  int cached_tokens = 0;      // prompt tokens found in the prefix cache
};

// One event of one choice. A request ends with exactly one event per choice with finish != kNone, and the last event of
// the request has `last` set and carries the usage of all choices.
struct Event {
  int choice = 0;
  std::vector<TokenId> tokens;             // reported in the step they were sampled in, the ending one included
  std::string text;                        // new text that is certain: whole characters that can no longer become
                                           // a stop string. An end or stop token has no text; a stop string and
                                           // what follows it never appears.
  std::vector<PositionLogprobs> logprobs;  // one per token when asked for
  std::vector<PositionLogprobs> prompt_logprobs;  // when asked for: prompt tokens 1..n-1, with the first
                                                  // event of choice 0
  FinishReason finish = FinishReason::kNone;
  std::string stop_text;  // the stop string that matched; empty when a token ended the choice
  Status error;           // with kError
  bool last = false;
  Usage usage;  // with `last`
};

// Receives the events of one request on the engine thread; must return at once (push to a queue) and may call cancel(),
// but not submit(). Destroyed after `last`. Never called when submit() returned an error.
using EventSink = std::function<void(Event&&)>;

struct Request {
  std::string id;               // echoed in logs
  std::vector<TokenId> prompt;  // not empty
  SamplingParams sampling;
  int n = 1;                              // choices that share the prompt
  int max_tokens = 16;                    // per choice; >= 0 (0: only the prompt is computed, for echo)
  int min_tokens = 0;                     // before this many no end or stop token is sampled, no stop string ends
  std::vector<std::string> stop;          // not empty; the one that ends first wins, then the longest
  std::vector<TokenId> stop_tokens;       // in addition to the model's own end tokens
  bool ignore_eos = false;                // the model's end tokens do not end; stop_tokens still do
  int logprobs = -1;                      // -1: none; k: the chosen one and the k most likely
  int prompt_logprobs = -1;               // same for the prompt; such a request does not read the prefix cache
  int priority = 0;                       // lower goes first
  std::optional<Duration> timeout;        // from submission; then: kError with code kDeadline
  std::shared_ptr<const TokenMask> mask;  // prototype, cloned per choice; shared: the front door keeps grammars
  std::string cache_salt;                 // tenants with different salts never share cached prefixes
  AdapterRef adapter;  // null: none; of the model that the engine runs
};

}  // namespace strata
