#include "engine/step_loop.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace strata {
namespace {

SchedulerOptions scheduler_options(const RunnerLimits& limits, const EngineOptions& options) {
  SchedulerOptions result;
  result.n_blocks = limits.n_blocks;
  result.block_tokens = limits.block_tokens;
  result.max_batch_tokens = std::min(options.max_batch_tokens, limits.max_batch_tokens);
  result.max_sequences = limits.max_sequences;
  result.max_outputs = limits.max_outputs;
  result.prefill_chunk = options.prefill_chunk;
  result.target_itl = options.target_itl;
  result.prefix_cache = options.prefix_cache;
  result.short_context = limits.short_context;
  result.cache_identity = limits.cache_identity;
  CHECK_GE(std::min({result.n_blocks, result.block_tokens, result.max_batch_tokens, result.max_sequences,
                     result.max_outputs}),
           1);
  return result;
}

}  // namespace

StepLoop::StepLoop(Runner& runner, const Tokenizer& tokenizer, const EngineOptions& options, const Clock& clock,
                   EngineCounters& counters, EngineObserver* observer, StepGate* gate)
    : runner_(runner),
      tokenizer_(tokenizer),
      clock_(clock),
      counters_(counters),
      observer_(observer),
      gate_(gate == nullptr ? nullptr : std::make_unique<StepGate::Member>(*gate)),
      model_end_tokens_(tokenizer.end_of_generation()),
      scheduler_(scheduler_options(runner.limits(), options)),
      batch_(runner.limits().block_tokens) {}

StepLoop::~StepLoop() { cancel_all(); }

void StepLoop::add(Submission submission) {
  auto owned = std::make_unique<ActiveRequest>();
  ActiveRequest& active = *owned;
  active.handle = submission.handle;
  active.request = std::move(submission.request);
  active.sink = std::move(submission.sink);
  active.submitted = submission.submitted;
  const Request& request = active.request;
  active.end_tokens = request.stop_tokens;
  if (!request.ignore_eos) {
    active.end_tokens.insert(active.end_tokens.end(), model_end_tokens_.begin(), model_end_tokens_.end());
  }
  for (int choice = 0; choice < request.n; ++choice) {
    ActiveRequest::Stream stream;
    stream.choice = std::make_unique<Choice>(request, choice, tokenizer_, active.end_tokens);
    active.streams.push_back(std::move(stream));
  }
  active.open_choices = request.n;

  SequenceSpec spec;
  spec.rank = {request.priority, active.handle, 0};
  spec.prompt = request.prompt;
  spec.samples = request.max_tokens > 0;
  spec.prompt_logprobs = request.prompt_logprobs >= 0;
  spec.adapter = request.adapter;
  spec.cache_salt = request.cache_salt;
  spec.arrived = active.submitted;
  if (request.timeout) spec.deadline = active.submitted + *request.timeout;
  active.streams[0].sequence = &scheduler_.add(std::move(spec));
  counters_.prompt_tokens += request.prompt.size();
  active_.emplace(active.handle, std::move(owned));
  publish_counters();
}

void StepLoop::cancel(uint64_t handle) {
  const auto found = active_.find(handle);
  if (found != active_.end()) end_without_tokens(*found->second, FinishReason::kCancelled, ok_status());
  deliver();
  publish_counters();
}

void StepLoop::cancel_all() {
  while (!active_.empty()) cancel(active_.begin()->first);
}

bool StepLoop::step() {
  now_ = clock_.now();
  expire();
  scheduler_.schedule(now_, plan_);
  if (plan_.empty()) {
    CHECK(scheduler_.empty());  // with no step in flight there is always one to make
    deliver();
    if (gate_) gate_->rest();
    publish_counters();
    return false;
  }
  note_first_scheduling();
  const auto logits = run_plan();
  now_ = clock_.now();
  if (logits.ok()) {
    scheduler_.commit(plan_);
    collect_outcomes();
    handle_outcomes(*logits);
    deliver();
    scheduler_.observe(plan_, clock_.now() - run_began_);
  } else {
    fail_plan(logits.status());
    deliver();
  }
  ++counters_.steps;
  publish_counters();
  return true;
}

void StepLoop::expire() {
  for (const SequenceRank& rank : scheduler_.expired(now_)) {
    const auto found = active_.find(rank.arrival);  // gone when another of its choices was named before
    if (found == active_.end()) continue;
    const double seconds = to_seconds(*found->second->request.timeout);
    end_without_tokens(*found->second, FinishReason::kError,
                       {Code::kDeadline, "the request's timeout of " + std::to_string(seconds) + " s has passed"});
  }
}

void StepLoop::note_first_scheduling() {
  for (const StepEntry& entry : plan_.entries) {
    ActiveRequest& active = *active_.at(entry.sequence->rank.arrival);
    if (std::exchange(active.was_scheduled, true)) continue;
    if (observer_ != nullptr) observer_->on_queue_time(to_seconds(now_ - active.submitted));
  }
}

Result<std::span<const float>> StepLoop::run_plan() {
  const Batch& batch = batch_.build(plan_);
  std::optional<StepGate::Turn> turn;
  if (gate_) turn.emplace(gate_->enter());
  run_began_ = clock_.now();
  for (const BlockOp& op : plan_.block_ops) {
    if (op.from >= 0) {
      runner_.copy_block(op.from, op.to);
    } else {
      runner_.clear_block(op.to);
    }
  }
  return runner_.run(batch);
}

// The requests of a failed step end; what the others have computed is untouched.
void StepLoop::fail_plan(const Status& status) {
  log_error("a step failed: " + status.message());
  std::vector<uint64_t> handles;
  for (const StepEntry& entry : plan_.entries) handles.push_back(entry.sequence->rank.arrival);
  scheduler_.abandon(plan_);
  for (const uint64_t handle : handles) {
    const auto found = active_.find(handle);  // gone when two of its choices were in the step
    if (found != active_.end()) end_without_tokens(*found->second, FinishReason::kError, status);
  }
}

void StepLoop::collect_outcomes() {
  outcomes_.clear();
  for (const StepEntry& entry : plan_.entries) {
    const Sequence& sequence = *entry.sequence;
    const uint64_t handle = sequence.rank.arrival;
    const int choice = sequence.rank.choice;
    for (int i = 0; i < entry.n_prompt_rows; ++i) {
      outcomes_.push_back({Outcome::kPromptRow, handle, choice, entry.first_prompt_row + i});
    }
    const bool complete = sequence.computed == sequence.length();
    if (complete && choice == 0) active_.at(handle)->cached_tokens = sequence.cached_tokens;
    if (entry.samples) outcomes_.push_back({Outcome::kSample, handle, choice, entry.begin + entry.count - 1});
    if (complete && !sequence.samples) outcomes_.push_back({Outcome::kPromptOnly, handle, choice, 0});
  }
}

void StepLoop::handle_outcomes(std::span<const float> logits) {
  const size_t vocab = static_cast<size_t>(runner_.limits().vocab);
  size_t begin = 0;
  for (const Outcome& outcome : outcomes_) {
    std::span<const float> row;
    if (outcome.kind != Outcome::kPromptOnly) {
      row = logits.subspan(begin, vocab);
      begin += vocab;
    }
    const auto found = active_.find(outcome.handle);
    if (found == active_.end()) continue;
    ActiveRequest& active = *found->second;
    if (outcome.kind == Outcome::kPromptRow) {
      add_prompt_row(active, row, outcome.position);
    } else if (outcome.kind == Outcome::kPromptOnly) {
      end_without_tokens(active, FinishReason::kLength, ok_status());
    } else if (!active.prompt_done) {
      open_choices(active, row, outcome.position);
    } else {
      extend(active, outcome.choice, row, outcome.position);
    }
  }
}

void StepLoop::add_prompt_row(ActiveRequest& active, std::span<const float> logits, int position) {
  const TokenId next = active.request.prompt[static_cast<size_t>(position) + 1];
  active.prompt_logprobs.push_back(sampler_.logprobs(logits, next, active.request.prompt_logprobs));
}

// The prompt is computed: every choice draws its first token from the same row.
void StepLoop::open_choices(ActiveRequest& active, std::span<const float> logits, int position) {
  active.prompt_done = true;
  const int n = active.request.n;
  for (int choice = 1; choice < n; ++choice) {
    active.streams[static_cast<size_t>(choice)].sequence = &scheduler_.fork(*active.streams[0].sequence, choice);
  }
  for (int choice = 0; choice < n; ++choice) {
    if (!extend(active, choice, logits, position)) return;
  }
}

// Draws and reports the choice's next token. False when this was the last event of the request, which is gone then.
bool StepLoop::extend(ActiveRequest& active, int choice, std::span<const float> logits, int position) {
  ActiveRequest::Stream& stream = active.streams[static_cast<size_t>(choice)];
  const auto token = stream.choice->sample(sampler_, logits, position + 1);
  if (!token.ok()) {
    end_without_tokens(active, FinishReason::kError, token.status());
    return false;
  }
  Event event;
  event.choice = choice;
  if (active.request.logprobs >= 0)
    event.logprobs.push_back(sampler_.logprobs(logits, *token, active.request.logprobs));
  stream.choice->accept(*token, event);
  ++active.completion_tokens;
  ++counters_.generation_tokens;
  observe_token(active, choice);
  if (stream.choice->over()) {
    scheduler_.finish(*std::exchange(stream.sequence, nullptr));
  } else {
    scheduler_.append(*stream.sequence, *token);
  }
  const bool goes_on = active.open_choices > (stream.choice->over() ? 1 : 0);
  send(active, std::move(event));
  return goes_on;
}

void StepLoop::observe_token(ActiveRequest& active, int choice) {
  std::optional<TimePoint>& last = active.streams[static_cast<size_t>(choice)].last_token;
  if (observer_ != nullptr) {
    if (last) {
      observer_->on_inter_token(to_seconds(now_ - *last));
    } else if (choice == 0) {
      observer_->on_first_token(to_seconds(now_ - active.submitted));
    }
  }
  last = now_;
}

// Ends all choices that are still open; the request is gone afterwards.
void StepLoop::end_without_tokens(ActiveRequest& active, FinishReason reason, const Status& error) {
  for (ActiveRequest::Stream& stream : active.streams) {
    if (stream.sequence != nullptr) scheduler_.finish(*std::exchange(stream.sequence, nullptr));
  }
  for (size_t choice = 0, n = active.streams.size(), open = static_cast<size_t>(active.open_choices);
       choice < n && open > 0; ++choice) {
    if (active.streams[choice].choice->over()) continue;
    --open;
    active.streams[choice].choice->end(reason);
    Event event;
    event.choice = static_cast<int>(choice);
    event.finish = reason;
    event.error = error;
    send(active, std::move(event));
  }
}

// Completes an event and puts it with those to deliver; the request is gone after its last.
void StepLoop::send(ActiveRequest& active, Event&& event) {
  if (event.choice == 0) event.prompt_logprobs = std::exchange(active.prompt_logprobs, {});
  if (event.finish != FinishReason::kNone) event.last = --active.open_choices == 0;
  if (!event.last) {
    letters_.push_back({&active.sink, std::move(event), nullptr});
    return;
  }
  event.usage = {static_cast<int>(active.request.prompt.size()), active.completion_tokens, active.cached_tokens};
  if (observer_ != nullptr) observer_->on_finished(to_seconds(now_ - active.submitted), event.finish, event.usage);
  note_release();
  const auto found = active_.find(active.handle);
  letters_.push_back({&active.sink, std::move(event), std::move(found->second)});
  active_.erase(found);
}

// All events of a step at once: the threads that are woken by the first would take the processor while others are still
// being made.
void StepLoop::deliver() {
  for (Letter& letter : letters_) {
    (*letter.sink)(std::move(letter.event));
    if (letter.ended == nullptr) continue;
    letter.ended.reset();
    --counters_.live;
  }
  letters_.clear();
}

void StepLoop::note_release() {
  constexpr double kMemory = 0.1;
  if (last_release_) release_seconds_ += kMemory * (to_seconds(now_ - *last_release_) - release_seconds_);
  last_release_ = now_;
}

void StepLoop::publish_counters() {
  counters_.backlog.publish(scheduler_.backlog(release_seconds_));
  const auto relaxed = std::memory_order_relaxed;
  counters_.running.store(scheduler_.running(), relaxed);
  counters_.waiting.store(scheduler_.waiting(), relaxed);
  counters_.blocks_held.store(scheduler_.pool().held(), relaxed);
  counters_.preemptions.store(scheduler_.counters().preemptions, relaxed);
  counters_.prefix_queries.store(scheduler_.counters().prefix_queries, relaxed);
  counters_.prefix_hits.store(scheduler_.counters().prefix_hits, relaxed);
}

}  // namespace strata
