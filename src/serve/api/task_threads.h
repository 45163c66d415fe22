// A few threads that read, render and tokenize requests, so that a long prompt never holds up a network thread.
// Bounded: when too many tasks wait, new ones are refused. Any thread may add.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace strata::api {

class TaskThreads {
 public:
  TaskThreads(int n_threads, size_t max_waiting);
  ~TaskThreads();

  bool add(std::function<void()> task);  // false: full or stopped
  void stop();                           // finishes running tasks, drops waiting ones

 private:
  void run();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace strata::api
