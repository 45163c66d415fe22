// The process's compute threads. One parallel job at a time: `run` calls `body(worker)` on every worker, the caller
// being worker 0, and returns when all are done. Inside a job, `WorkQueue` hands out pieces of work and `Barrier`
// separates its phases, so that a whole step of the model is ONE job and threads are woken once.
//
// Thread rule: one thread at a time calls run(). Idle workers sleep on a futex; nothing spins longer than a few
// microseconds, so a core taken away by the system delays, but is never burnt.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace strata {

class ThreadPool {
 public:
  explicit ThreadPool(int n_threads);  // n_threads >= 1; 1 starts no thread
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }
  void run(const std::function<void(int worker)>& body);

  // Splits [0, n) in pieces of at most `grain` and calls body(begin, end, worker) for each, on all workers.
  void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
  int n_threads_;
};

// Hands out [0, n) in pieces to the workers of one job, in ascending order. reset() before the workers start.
class WorkQueue {
 public:
  void reset(int64_t n) {
    size_ = n;
    next_.store(0, std::memory_order_relaxed);
  }
  // False when nothing is left.
  bool take(int64_t grain, int64_t& begin, int64_t& end) {
    begin = next_.fetch_add(grain, std::memory_order_relaxed);
    if (begin >= size_) return false;
    end = begin + grain < size_ ? begin + grain : size_;
    return true;
  }

 private:
  alignas(64) std::atomic<int64_t> next_{0};
  int64_t size_ = 0;
};

// All workers of a job wait here for each other. Spins briefly, then sleeps.
class Barrier {
 public:
  explicit Barrier(int n_threads) : n_threads_(n_threads) {}
  // The last to arrive runs `last` (if any) before the others go on.
  void arrive_and_wait(const std::function<void()>* last = nullptr);

 private:
  const int n_threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

// Number of processors this process may run on.
int available_processors();

}  // namespace strata
