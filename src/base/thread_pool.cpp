#include "base/thread_pool.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/absence.h"
#include "base/check.h"

namespace strata {
namespace {

constexpr int kSpins = 2000;  // about ten microseconds: shorter than a wake-up costs, too short to burn a shared core
constexpr int64_t kMostUnits = 32;

inline void pause() { __builtin_ia32_pause(); }

// What is left of a phase for one group, in one word, so that a piece is of the phase that its taker saw.
class UnitsLeft {
 public:
  void open(uint32_t phase, int64_t units) {
    word_.store(uint64_t{phase} << 32 | static_cast<uint64_t>(units), std::memory_order_release);
  }
  // Takes up to 1 / `parts` of what is left, from the front of `total` units: false when nothing is.
  int64_t take(int64_t parts, int64_t& left) {
    uint64_t word = word_.load(std::memory_order_acquire);
    for (;;) {
      left = static_cast<int64_t>(word & 0xffffffff);
      if (left == 0) return 0;
      const int64_t units = std::clamp<int64_t>(left / parts, 1, kMostUnits);
      if (word_.compare_exchange_weak(word, word - static_cast<uint64_t>(units), std::memory_order_acq_rel,
                                      std::memory_order_acquire))
        return units;
    }
  }

 private:
  alignas(64) std::atomic<uint64_t> word_{0};
};

}  // namespace

// Since when somebody waits for the end of a phase, with the number of the phase in the upper bits.
class WaitingSince {
 public:
  void begin(uint32_t phase, TimePoint now) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    if (word >> kTimeBits != (phase & kPhaseMask)) {
      word_.compare_exchange_strong(word, stamp(phase, now), std::memory_order_relaxed);
    }
  }
  // Zero when nobody waits.
  Duration until(uint32_t phase) const {
    const uint64_t word = word_.load(std::memory_order_relaxed);
    if (word >> kTimeBits != (phase & kPhaseMask)) return Duration::zero();
    const uint64_t now = stamp(phase, steady_clock().now());
    return std::chrono::microseconds((now - word) & ((uint64_t{1} << kTimeBits) - 1));
  }

 private:
  static constexpr int kTimeBits = 40;  // microseconds of 12 days
  static constexpr uint32_t kPhaseMask = (1u << (64 - kTimeBits)) - 1;
  static uint64_t stamp(uint32_t phase, TimePoint now) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
    return uint64_t{phase & kPhaseMask} << kTimeBits | (static_cast<uint64_t>(us) & ((uint64_t{1} << kTimeBits) - 1));
  }
  std::atomic<uint64_t> word_{0};
};

// How often the system took the processor away from this thread.
int64_t interruptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

struct Group {
  UnitsLeft left;
  int64_t end = 0;  // number of the unit after its last; read by whoever holds a piece of it
  int first_worker = 0;
  int workers = 0;
  std::vector<int> cpus;
};

// A processor that went offline meanwhile, or a mask that does not allow it: then the thread stays as it is.
void bind_this_thread(const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  const auto room = static_cast<size_t>(*std::max_element(cpus.begin(), cpus.end()) + 1);
  cpu_set_t* set = CPU_ALLOC(room);
  const size_t bytes = CPU_ALLOC_SIZE(room);
  CPU_ZERO_S(bytes, set);
  for (const int cpu : cpus) CPU_SET_S(static_cast<size_t>(cpu), bytes, set);
  sched_setaffinity(0, bytes, set);
  CPU_FREE(set);
}

struct ThreadPool::State {
  explicit State(const std::vector<WorkerPlace>& places);

  void open_phases(int worker);
  bool take_and_compute(int worker, int home, int64_t& finished);
  bool wait_for_phase(uint32_t seen);
  void stay_out(Duration time);
  void work_until(int worker, int home, const std::atomic<bool>& done);
  int home_of_caller() const;

  int n_threads;
  std::vector<Group> groups;
  std::vector<int64_t> units;
  PhasedWork* work = nullptr;
  uint32_t phase = 0;  // number of the open phase, known to whoever opens the next
  alignas(64) std::atomic<int64_t> unfinished{0};
  alignas(64) std::atomic<uint32_t> opened{0};  // grows after each opening: what waiting workers look at
  alignas(64) WaitingSince waiting_since;       // by `opened`
  std::atomic<bool> over{true};
  std::atomic<bool> stop{false};
  std::mutex out_mutex;
  std::condition_variable out_ended;
  std::vector<std::jthread> threads;
};

ThreadPool::State::State(const std::vector<WorkerPlace>& places)
    : n_threads(static_cast<int>(places.size())),
      groups(static_cast<size_t>(places.empty() ? 1 : places.back().group + 1)),
      units(groups.size()) {
  CHECK_GE(n_threads, 1);
  for (int worker = 0; worker < n_threads; ++worker) {
    const WorkerPlace& place = places[static_cast<size_t>(worker)];
    Group& group = groups[static_cast<size_t>(place.group)];
    if (group.workers++ == 0) group.first_worker = worker;
    group.cpus = place.cpus;
  }
}

// The caller is not bound: its group is that of the processor it runs on.
int ThreadPool::State::home_of_caller() const {
  if (groups.size() == 1) return 0;
  const int cpu = sched_getcpu();
  for (size_t g = 0; g < groups.size(); ++g) {
    const std::vector<int>& cpus = groups[g].cpus;
    if (std::find(cpus.begin(), cpus.end(), cpu) != cpus.end()) return static_cast<int>(g);
  }
  return 0;
}

// Opens phases, by the thread that finished the one before, until one is worth sharing or none is left.
void ThreadPool::State::open_phases(int worker) {
  for (;;) {
    const PhasedWork::Phase kind = work->next_phase(units.data());
    if (kind == PhasedWork::Phase::kOver) {
      over.store(true, std::memory_order_release);
      break;
    }
    int64_t total = 0;
    for (size_t g = 0; g < groups.size(); ++g) groups[g].end = total += units[g];
    if (kind == PhasedWork::Phase::kAlone || total <= 1 || n_threads == 1) {
      if (total > 0) work->compute(0, total, worker);
      continue;
    }
    unfinished.store(total, std::memory_order_relaxed);
    ++phase;
    for (size_t g = 0; g < groups.size(); ++g) groups[g].left.open(phase, units[g]);
    break;
  }
  opened.fetch_add(1, std::memory_order_seq_cst);
  opened.notify_all();
}

bool ThreadPool::State::take_and_compute(int worker, int home, int64_t& finished) {
  const auto n = static_cast<int>(groups.size());
  for (int i = 0; i < n; ++i) {
    Group& group = groups[static_cast<size_t>((home + i) % n)];
    int64_t left = 0;
    const int64_t taken = group.left.take(2 * group.workers, left);
    if (taken == 0) continue;
    const int64_t begin = group.end - left;
    work->compute(begin, begin + taken, worker);
    finished += taken;
    return true;
  }
  return false;
}

// True when it slept.
bool ThreadPool::State::wait_for_phase(uint32_t seen) {
  for (int i = 0; i < kSpins; ++i) {
    if (opened.load(std::memory_order_acquire) != seen) return false;
    pause();
  }
  waiting_since.begin(seen, steady_clock().now());
  opened.wait(seen, std::memory_order_acquire);
  return true;
}

void ThreadPool::State::stay_out(Duration time) {
  std::unique_lock lock(out_mutex);
  out_ended.wait_for(lock, time, [this] { return stop.load(std::memory_order_relaxed); });
}

void ThreadPool::State::work_until(int worker, int home, const std::atomic<bool>& done) {
  Absence absence(n_threads);
  int64_t interrupted = interruptions();  // as of a moment since when this worker has not slept
  for (;;) {
    const uint32_t seen = opened.load(std::memory_order_acquire);
    if (done.load(std::memory_order_acquire)) return;
    int64_t finished = 0;
    while (take_and_compute(worker, home, finished)) {
    }
    if (finished == 0) {
      if (wait_for_phase(seen)) interrupted = interruptions();
    } else if (unfinished.fetch_sub(finished, std::memory_order_acq_rel) == finished) {
      const Duration stall = waiting_since.until(opened.load(std::memory_order_relaxed));
      open_phases(worker);
      if (worker == 0 || stall < Absence::kLate || interruptions() == interrupted) continue;
      const Duration time = absence.decide(stall, steady_clock().now());
      if (time > Duration::zero()) stay_out(time);
      interrupted = interruptions();
    }
  }
}

ThreadPool::ThreadPool(const std::vector<WorkerPlace>& places)
    : state_(std::make_unique<State>(places)), n_threads_(state_->n_threads) {
  for (int worker = 1; worker < n_threads_; ++worker) {
    const int home = places[static_cast<size_t>(worker)].group;
    state_->threads.emplace_back([state = state_.get(), worker, home] {
      bind_this_thread(state->groups[static_cast<size_t>(home)].cpus);
      state->work_until(worker, home, state->stop);
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->out_mutex);
    state_->stop.store(true, std::memory_order_release);
  }
  state_->out_ended.notify_all();
  state_->opened.fetch_add(1, std::memory_order_seq_cst);
  state_->opened.notify_all();
}

int ThreadPool::n_groups() const { return static_cast<int>(state_->groups.size()); }

std::pair<int64_t, int64_t> ThreadPool::share_of_group(int group, int64_t n) const {
  const Group& g = state_->groups[static_cast<size_t>(group)];
  return {n * g.first_worker / n_threads_, n * (g.first_worker + g.workers) / n_threads_};
}

void ThreadPool::run(PhasedWork& work) {
  state_->work = &work;
  state_->over.store(false, std::memory_order_relaxed);
  state_->open_phases(0);
  state_->work_until(0, state_->home_of_caller(), state_->over);
}

void ThreadPool::parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t, int)>& body) {
  class Loop final : public PhasedWork {
   public:
    Loop(const ThreadPool& pool, int64_t n, int64_t grain, const std::function<void(int64_t, int64_t, int)>& body)
        : pool_(pool), n_(n), grain_(grain), body_(body) {}
    Phase next_phase(int64_t* units) override {
      if (std::exchange(opened_, true)) return Phase::kOver;
      for (int g = 0; g < pool_.n_groups(); ++g) {
        const auto [begin, end] = pool_.share_of_group(g, (n_ + grain_ - 1) / grain_);
        units[g] = end - begin;
      }
      return Phase::kShared;
    }
    void compute(int64_t begin, int64_t end, int worker) override {
      body_(begin * grain_, std::min(n_, end * grain_), worker);
    }

   private:
    const ThreadPool& pool_;
    const int64_t n_, grain_;
    const std::function<void(int64_t, int64_t, int)>& body_;
    bool opened_ = false;
  };
  Loop loop(*this, n, grain, body);
  run(loop);
}

}  // namespace strata
