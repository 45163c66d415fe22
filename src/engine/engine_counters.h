// What the engine's loop counts while it runs; any thread may read without waiting.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "engine/admission.h"

namespace strata {

// The loop's latest backlog, for those who decide on newcomers. Any thread; nobody holds it for more than a copy.
class BacklogBoard {
 public:
  void publish(Backlog backlog) {
    const std::lock_guard lock(mutex_);
    backlog_ = std::move(backlog);
  }
  Backlog read() const {
    const std::lock_guard lock(mutex_);
    return backlog_;
  }

 private:
  mutable std::mutex mutex_;
  Backlog backlog_;  // guarded by mutex_
};

struct EngineCounters {
  BacklogBoard backlog;
  std::atomic<int> inbox{0};    // submitted, not yet seen by the loop
  std::atomic<int64_t> inbox_tokens{0};
  std::atomic<int> live{0};     // requests whose last event has not been sent
  std::atomic<int> running{0};  // sequences
  std::atomic<int> waiting{0};
  std::atomic<int> blocks_held{0};
  std::atomic<uint64_t> prompt_tokens{0};
  std::atomic<uint64_t> generation_tokens{0};
  std::atomic<uint64_t> preemptions{0};
  std::atomic<uint64_t> prefix_queries{0};
  std::atomic<uint64_t> prefix_hits{0};
  std::atomic<uint64_t> steps{0};
  std::atomic<uint64_t> shed_full{0};  // refused: too many waited
  std::atomic<uint64_t> shed_slow{0};  // refused: the wait would have been too long
};

}  // namespace strata
