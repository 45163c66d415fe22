#include "engine/engine.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/engine_counters.h"
#include "engine/request_check.h"
#include "engine/step_loop.h"

namespace strata {
namespace {

Status refusal(const Admission& admission) {
  if (admission.verdict == Verdict::kQueueFull) return exhausted("too many requests are waiting (try again later)");
  const std::string seconds = std::to_string(to_seconds(admission.ttft));
  return exhausted("the server is busy: this request would wait " + seconds.substr(0, seconds.find('.') + 2) +
                   " s for its first token (try again later)");
}

}  // namespace

// Two threads meet in the inbox only: clients put submissions and cancellations in, the loop takes both between steps.
struct Engine::Impl {
  Impl(std::unique_ptr<Runner> owned_runner, const Tokenizer& tokenizer, const EngineOptions& engine_options,
       const Clock& engine_clock, EngineObserver* observer, StepGate* gate)
      : runner(std::move(owned_runner)),
        options(engine_options),
        clock(engine_clock),
        loop(*runner, tokenizer, options, clock, counters, observer, gate),
        thread([this] { run(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void run() {
    for (bool idle = false; take_inbox(idle);) idle = !loop.step() && !runner->prepare();
    loop.cancel_all();
  }

  // Sleeps while idle until something arrives. False: the engine is being destroyed.
  bool take_inbox(bool idle) {
    std::vector<Submission> arrived;
    std::vector<RequestHandle> cancelled;
    bool stop = false;
    {
      std::unique_lock lock(mutex);
      if (idle) wake.wait(lock, [this] { return stopping || !submissions.empty() || !cancellations.empty(); });
      arrived.swap(submissions);
      cancelled.swap(cancellations);
      stop = stopping;
    }
    for (Submission& submission : arrived) {
      const auto tokens = static_cast<int64_t>(submission.request.prompt.size());
      loop.add(std::move(submission));
      --counters.inbox;
      counters.inbox_tokens -= tokens;
    }
    for (const RequestHandle handle : cancelled) loop.cancel(handle);
    return !stop;
  }

  // A newcomer, now. Counts those it refuses.
  Admission decide(const Request& request) {
    const Inbox inbox{counters.inbox, counters.inbox_tokens};
    const Newcomer newcomer{request.priority, static_cast<int64_t>(request.prompt.size())};
    const Admission admission = decide_admission(options.admission, counters.backlog.read(), inbox, newcomer);
    if (admission.verdict == Verdict::kQueueFull) ++counters.shed_full;
    if (admission.verdict == Verdict::kQueueSlow) ++counters.shed_slow;
    return admission;
  }

  const std::unique_ptr<Runner> runner;
  const EngineOptions options;
  const Clock& clock;
  EngineCounters counters;

  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Submission> submissions;  // guarded by mutex, as are the four below
  std::vector<RequestHandle> cancellations;
  RequestHandle next_handle = 1;
  bool draining = false;
  bool stopping = false;

  StepLoop loop;       // the thread's alone
  std::thread thread;  // last: it uses everything above
};

Engine::Engine(std::unique_ptr<Runner> runner, const Tokenizer& tokenizer, const EngineOptions& options,
               const Clock& clock, EngineObserver* observer, StepGate* gate)
    : impl_(std::make_unique<Impl>(std::move(runner), tokenizer, options, clock, observer, gate)) {}

Engine::~Engine() = default;

Result<Engine::RequestHandle> Engine::submit(Request request, EventSink sink, Duration* retry_after) {
  RETURN_IF_ERROR(check_request(request, limits()));
  RequestHandle handle = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->draining) return unavailable("the engine is draining and takes no new requests");
    const Admission admission = impl_->decide(request);
    if (admission.verdict != Verdict::kAdmitted) {
      if (retry_after != nullptr) *retry_after = admission.retry_after;
      return refusal(admission);
    }
    handle = impl_->next_handle++;
    ++impl_->counters.inbox;
    impl_->counters.inbox_tokens += static_cast<int64_t>(request.prompt.size());
    ++impl_->counters.live;
    impl_->submissions.push_back({handle, std::move(request), std::move(sink), impl_->clock.now()});
  }
  impl_->wake.notify_one();
  return handle;
}

void Engine::cancel(RequestHandle handle) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancellations.push_back(handle);
  }
  impl_->wake.notify_one();
}

void Engine::drain() {
  const std::lock_guard lock(impl_->mutex);
  impl_->draining = true;
}

bool Engine::idle() const { return impl_->counters.live == 0; }

EngineStats Engine::stats() const {
  const EngineCounters& counters = impl_->counters;
  EngineStats stats;
  stats.running = counters.running;
  stats.waiting = counters.inbox + counters.waiting;
  stats.cache_usage = static_cast<double>(counters.blocks_held) / limits().n_blocks;
  stats.prompt_tokens = counters.prompt_tokens;
  stats.generation_tokens = counters.generation_tokens;
  stats.preemptions = counters.preemptions;
  stats.prefix_queries = counters.prefix_queries;
  stats.prefix_hits = counters.prefix_hits;
  stats.steps = counters.steps;
  stats.shed_full = counters.shed_full;
  stats.shed_slow = counters.shed_slow;
  return stats;
}

const ExpertLoad* Engine::expert_load() const { return impl_->runner->expert_load(); }

const RunnerLimits& Engine::limits() const { return impl_->runner->limits(); }

int Engine::max_request_tokens() const { return strata::max_request_tokens(limits()); }

}  // namespace strata
