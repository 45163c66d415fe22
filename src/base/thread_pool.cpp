#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/check.h"

namespace strata {
namespace {

constexpr int kSpins = 2000;  // about ten microseconds: shorter than a wake-up costs, too short to burn a shared core

inline void pause() { __builtin_ia32_pause(); }

void wait_while_equal(std::atomic<uint32_t>& word, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

}  // namespace

struct ThreadPool::State {
  std::atomic<uint32_t> generation{0};
  std::atomic<uint32_t> finished{0};
  std::atomic<int> running{0};
  const std::function<void(int)>* body = nullptr;
  bool stop = false;
  std::vector<std::jthread> threads;
};

ThreadPool::ThreadPool(int n_threads) : state_(std::make_unique<State>()), n_threads_(n_threads) {
  CHECK_GE(n_threads, 1);
  for (int worker = 1; worker < n_threads; ++worker) {
    state_->threads.emplace_back([state = state_.get(), worker] {
      uint32_t seen = 0;
      for (;;) {
        wait_while_equal(state->generation, seen);
        seen = state->generation.load(std::memory_order_acquire);
        if (state->stop) return;
        (*state->body)(worker);
        if (state->running.fetch_sub(1, std::memory_order_acq_rel) == 1) {
          state->finished.fetch_add(1, std::memory_order_release);
          state->finished.notify_one();
        }
      }
    });
  }
}

ThreadPool::~ThreadPool() {
  state_->stop = true;
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
}

void ThreadPool::run(const std::function<void(int)>& body) {
  if (n_threads_ == 1) return body(0);
  state_->body = &body;
  const uint32_t before = state_->finished.load(std::memory_order_acquire);
  state_->running.store(n_threads_ - 1, std::memory_order_relaxed);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
  body(0);
  wait_while_equal(state_->finished, before);
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t, int)>& body) {
  if (n <= 0) return;
  if (n <= grain || n_threads_ == 1) return body(0, n, 0);
  WorkQueue queue;
  queue.reset(n);
  run([&](int worker) {
    int64_t begin = 0;
    int64_t end = 0;
    while (queue.take(grain, begin, end)) body(begin, end, worker);
  });
}

void Barrier::arrive_and_wait(const std::function<void()>* last) {
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == n_threads_ - 1) {
    if (last != nullptr) (*last)();
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    return;
  }
  wait_while_equal(phase_, phase);
}

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace strata
