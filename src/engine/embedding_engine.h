// The embedding engine: one thread that owns the queue and the embedder of one model. Other threads submit and cancel
// through an inbox and hear rows through each request's sink; statistics are read without waiting for the loop.
//
// It is an engine of its own beside the one that generates (engine.h): texts are computed whole, in one step, without
// cache, sampling or sequences that live on, so the two loops have nothing in common but the compute threads. Those
// they share through a StepGate, as the engines of several models do, and a generating model that also embeds keeps its
// packed weights once.
#pragma once

#include <memory>

#include "base/clock.h"
#include "engine/embedding_request.h"

namespace strata {

class StepGate;

struct EmbeddingOptions {
  int max_batch_tokens = 512;                     // of one step
  int max_waiting = 4096;                         // requests that have begun or wait, before new ones are refused
  int64_t max_waiting_tokens = int64_t{1} << 24;  // of all texts of these requests
};

// Every field is an atomic counter read without a lock.
struct EmbeddingStats {
  int running = 0;  // requests of which something was computed
  int waiting = 0;  // requests of which nothing was
  uint64_t tokens = 0;
  uint64_t texts = 0;
  uint64_t steps = 0;
};

// Observes the life of requests for histograms; called on the engine thread; must be cheap and not block.
class EmbeddingObserver {
 public:
  virtual ~EmbeddingObserver() = default;
  virtual void on_queue_time(double /*seconds before the first step*/) {}
  virtual void on_finished(double /*seconds since submission*/, const Status&) {}
};

class EmbeddingEngine {
 public:
  // Takes the embedder; `clock` (thread-safe), `observer` and `gate` (both may be null) outlive the engine.
  EmbeddingEngine(std::unique_ptr<Embedder> embedder, const EmbeddingOptions& options, const Clock& clock,
                  EmbeddingObserver* observer = nullptr, StepGate* gate = nullptr);
  ~EmbeddingEngine();  // cancels what still runs; every sink has had its last event when this returns

  using RequestHandle = uint64_t;
  // From any thread. kInvalidArgument: see check_embedding_request(); kExhausted: the queue is full; kUnavailable:
  // draining. The sink runs on the engine thread and must not wait.
  Result<RequestHandle> submit(EmbeddingRequest request, EmbeddingSink sink);
  // From any thread; the request ends before the next step with kCancelled. Unknown handles are ignored.
  void cancel(RequestHandle handle);

  void drain();       // refuse new requests; running ones finish
  bool idle() const;  // nothing waiting, nothing running
  EmbeddingStats stats() const;
  const EmbedderLimits& limits() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strata
