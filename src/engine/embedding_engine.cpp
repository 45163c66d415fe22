#include "engine/embedding_engine.h"

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/embedding_queue.h"
#include "engine/step_gate.h"

namespace strata {
namespace {

// The first `dim` numbers, to length 1 where that is wanted. Sums ascend in double: bits depend on the row alone.
void append_row(std::span<const float> row, size_t dim, bool normalize, std::vector<float>& out) {
  const size_t begin = out.size();
  out.insert(out.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(dim));
  if (!normalize) return;
  double sum = 0;
  for (size_t i = begin; i < out.size(); ++i) sum += static_cast<double>(out[i]) * out[i];
  const double length = std::sqrt(sum);
  if (!(length > 0)) return;  // nothing points nowhere
  for (size_t i = begin; i < out.size(); ++i) out[i] = static_cast<float>(out[i] / length);
}

int64_t tokens_of(const EmbeddingRequest& request) {
  int64_t tokens = 0;
  for (const TextInput& text : request.texts) tokens += static_cast<int64_t>(text.ids.size());
  return tokens;
}

}  // namespace

// Two threads meet in the inbox only; all below "the loop's" belongs to the loop.
struct EmbeddingEngine::Impl {
  struct Submission {
    RequestHandle handle;
    EmbeddingRequest request;
    EmbeddingSink sink;
    TimePoint at;
    int64_t tokens;
  };
  struct Active {
    EmbeddingSink sink;
    TimePoint submitted;
    int64_t tokens = 0;
    size_t texts_left = 0;
    bool started = false;
  };

  Impl(std::unique_ptr<Embedder> owned, const EmbeddingOptions& engine_options, const Clock& engine_clock,
       EmbeddingObserver* engine_observer, StepGate* gate)
      : embedder(std::move(owned)), options(engine_options), clock(engine_clock), observer(engine_observer) {
    if (gate != nullptr) member.emplace(*gate);
    thread = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void run() {
    while (take_inbox()) step();
    for (const RequestHandle handle : queue.handles()) finish(handle, {Code::kCancelled, "the engine is stopping"});
  }

  // Sleeps while nothing is to be done. False: the engine is being destroyed.
  bool take_inbox() {
    std::vector<Submission> arrived;
    std::vector<RequestHandle> cancelled;
    bool stop = false;
    {
      std::unique_lock lock(mutex);
      if (queue.empty()) {
        if (member && submissions.empty() && !stopping) member->rest();
        wake.wait(lock, [this] { return stopping || !submissions.empty(); });
      }
      arrived.swap(submissions);
      cancelled.swap(cancellations);
      stop = stopping;
    }
    for (Submission& s : arrived) {
      active[s.handle] = {std::move(s.sink), s.at, s.tokens, s.request.texts.size()};
      queue.add(s.handle, std::move(s.request));
    }
    for (const RequestHandle handle : cancelled) finish(handle, {Code::kCancelled, "the client has left"});
    return !stop;
  }

  void step() {
    const std::vector<EmbeddingQueue::Pick> picks = queue.next(options.max_batch_tokens, embedder->limits().max_texts);
    if (picks.empty()) return;
    std::vector<TextTokens> texts;
    uint64_t n_tokens = 0;
    for (const auto& pick : picks) {
      texts.push_back(queue.find(pick.handle)->texts[pick.text].tokens());
      n_tokens += texts.back().ids.size();
      start(pick.handle);
    }
    const Status status = compute(texts);
    ++steps;
    if (!status.ok()) {
      for (const auto& pick : picks) finish(pick.handle, status);
      return;
    }
    computed_tokens += n_tokens;
    computed_texts += picks.size();
    deliver(picks);
  }

  Status compute(std::span<const TextTokens> texts) {
    if (!member) return embedder->run(texts);
    const StepGate::Turn turn = member->enter();
    return embedder->run(texts);
  }

  void start(RequestHandle handle) {
    Active& request = active.at(handle);
    if (request.started) return;
    request.started = true;
    --n_waiting;
    ++n_running;
    if (observer != nullptr) observer->on_queue_time(to_seconds(clock.now() - request.submitted));
  }

  // One event for each request of the step: its texts were taken in order, so its rows follow each other.
  void deliver(const std::vector<EmbeddingQueue::Pick>& picks) {
    std::map<RequestHandle, EmbeddingEvent> events;
    for (size_t i = 0; i < picks.size(); ++i) {
      const EmbeddingRequest& request = *queue.find(picks[i].handle);
      const std::span<const float> rows = embedder->rows(request.output);
      const size_t width = rows.size() / picks.size();
      EmbeddingEvent& event = events[picks[i].handle];
      if (event.rows.empty()) event.first = picks[i].text;
      event.dim = request.dimensions > 0 ? static_cast<size_t>(request.dimensions) : width;
      append_row(rows.subspan(i * width, width), event.dim, request.normalize, event.rows);
      --active.at(picks[i].handle).texts_left;
    }
    for (auto& [handle, event] : events) {
      Active& request = active.at(handle);
      if (request.texts_left > 0) {
        request.sink(std::move(event));
      } else {
        finish(handle, ok_status(), std::move(event));
      }
    }
  }

  void finish(RequestHandle handle, const Status& status, EmbeddingEvent event = {}) {
    const auto at = active.find(handle);
    if (at == active.end()) return;
    queue.remove(handle);
    const Active request = std::move(at->second);
    active.erase(at);
    --(request.started ? n_running : n_waiting);
    --n_live;
    live_tokens -= request.tokens;
    if (observer != nullptr) observer->on_finished(to_seconds(clock.now() - request.submitted), status);
    event.last = true;
    event.tokens = request.tokens;
    event.error = status;
    request.sink(std::move(event));
  }

  const std::unique_ptr<Embedder> embedder;
  const EmbeddingOptions options;
  const Clock& clock;
  EmbeddingObserver* const observer;

  std::atomic<int> n_running{0}, n_waiting{0}, n_live{0};
  std::atomic<int64_t> live_tokens{0};
  std::atomic<uint64_t> computed_tokens{0}, computed_texts{0}, steps{0};

  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Submission> submissions;  // guarded by mutex, as are the four below
  std::vector<RequestHandle> cancellations;
  RequestHandle next_handle = 1;
  bool draining = false;
  bool stopping = false;

  // The loop's.
  std::optional<StepGate::Member> member;
  EmbeddingQueue queue;
  std::map<RequestHandle, Active> active;
  std::thread thread;  // last: it uses everything above
};

EmbeddingEngine::EmbeddingEngine(std::unique_ptr<Embedder> embedder, const EmbeddingOptions& options,
                                 const Clock& clock, EmbeddingObserver* observer, StepGate* gate)
    : impl_(std::make_unique<Impl>(std::move(embedder), options, clock, observer, gate)) {}

EmbeddingEngine::~EmbeddingEngine() = default;

Result<EmbeddingEngine::RequestHandle> EmbeddingEngine::submit(EmbeddingRequest request, EmbeddingSink sink) {
  RETURN_IF_ERROR(check_embedding_request(request, limits()));
  const int64_t tokens = tokens_of(request);
  RequestHandle handle = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->draining) return unavailable("the engine is draining and takes no new requests");
    const bool full = impl_->n_live >= impl_->options.max_waiting ||
                      (impl_->n_live > 0 && impl_->live_tokens + tokens > impl_->options.max_waiting_tokens);
    if (full) {
      return exhausted("the queue is full: " + std::to_string(impl_->n_live) + " requests with " +
                       std::to_string(impl_->live_tokens) + " tokens are waiting");
    }
    handle = impl_->next_handle++;
    ++impl_->n_live;
    ++impl_->n_waiting;
    impl_->live_tokens += tokens;
    impl_->submissions.push_back({handle, std::move(request), std::move(sink), impl_->clock.now(), tokens});
  }
  impl_->wake.notify_one();
  return handle;
}

void EmbeddingEngine::cancel(RequestHandle handle) {
  const std::lock_guard lock(impl_->mutex);
  impl_->cancellations.push_back(handle);
}

void EmbeddingEngine::drain() {
  const std::lock_guard lock(impl_->mutex);
  impl_->draining = true;
}

bool EmbeddingEngine::idle() const { return impl_->n_live == 0; }

EmbeddingStats EmbeddingEngine::stats() const {
  return {impl_->n_running, impl_->n_waiting, impl_->computed_tokens, impl_->computed_texts, impl_->steps};
}

const EmbedderLimits& EmbeddingEngine::limits() const { return impl_->embedder->limits(); }

}  // namespace strata
