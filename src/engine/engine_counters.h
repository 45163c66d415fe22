// What the engine's loop counts while it runs; any thread may read without waiting.
#pragma once

#include <atomic>
#include <cstdint>

namespace strata {

struct EngineCounters {
  std::atomic<int> inbox{0};    // submitted, not yet seen by the loop
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
};

}  // namespace strata
