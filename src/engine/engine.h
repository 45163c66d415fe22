// The engine: one thread that owns sequences, cache and scheduler of one model. Other threads submit and cancel through
// a queue and hear events through each request's sink; statistics are read without waiting for the loop.
#pragma once

#include <memory>

#include "engine/admission.h"
#include "engine/request.h"
#include "engine/runner.h"

namespace strata {

class ExpertLoad;  // engine/expert_load.h
class StepGate;    // engine/step_gate.h: lets several engines of one process take turns

struct EngineOptions {
  int max_batch_tokens = 512;  // token budget of a step. More: faster prefill, longer gaps for running streams.
  int prefill_chunk = 0;       // most prompt tokens of one sequence in a step; 0: the whole budget
  Duration target_itl{};       // longest step while sequences decode; 0: up to twice what the decodes take themselves
  AdmissionOptions admission;  // who is refused while others wait (kExhausted, HTTP 429)
  bool prefix_cache = true;
};

// A consistent-enough snapshot for /metrics; every field is an atomic counter read without a lock.
struct EngineStats {
  int running = 0;
  int waiting = 0;
  double cache_usage = 0;  // share of blocks held by live sequences, 0..1
  uint64_t prompt_tokens = 0;
  uint64_t generation_tokens = 0;
  uint64_t preemptions = 0;
  uint64_t prefix_queries = 0;  // tokens looked up
  uint64_t prefix_hits = 0;     // tokens found
  uint64_t steps = 0;
  uint64_t shed_full = 0;  // requests refused because too many waited
  uint64_t shed_slow = 0;  // ... because the wait would have been too long
};

// Observes the life of requests for histograms; called on the engine thread; must be cheap and not block.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  virtual void on_first_token(double /*seconds since submission*/) {}
  virtual void on_inter_token(double /*seconds*/) {}
  virtual void on_queue_time(double /*seconds waiting before the first scheduling*/) {}
  virtual void on_finished(double /*seconds since submission*/, FinishReason, const Usage&) {}
};

class Engine {
 public:
  // Takes the runner; `tokenizer`, `clock` (thread-safe), `observer` and `gate` (both may be null) outlive the engine.
  // Starts the loop thread.
  Engine(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer, const EngineOptions& options, const Clock& clock,
         EngineObserver* observer = nullptr, StepGate* gate = nullptr);
  ~Engine();  // cancels what still runs; every sink has had its last event when this returns

  using RequestHandle = uint64_t;
  // From any thread. kInvalidArgument: the request cannot be served ever (prompt + max_tokens over
  // max_request_tokens(), with both numbers; token id outside the vocabulary; a parameter out of range); kExhausted:
  // the queue is full or too slow, `retry_after` (if given) says when there may be room; kUnavailable: draining. Never
  // waits for the loop.
  Result<RequestHandle> submit(Request request, EventSink sink, Duration* retry_after = nullptr);
  // From any thread; the request ends within one step with kCancelled. Unknown handles are ignored.
  void cancel(RequestHandle handle);

  void drain();                           // refuse new requests; running ones finish
  bool idle() const;                      // nothing waiting, nothing running
  EngineStats stats() const;              // from any thread, never waits
  const ExpertLoad* expert_load() const;  // how the model's experts are used, from any thread; null: it has none
  const RunnerLimits& limits() const;
  int max_request_tokens() const;  // most prompt + max_tokens: the context, or less when the cache is smaller

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata
