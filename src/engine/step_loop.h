// The engine without its thread: takes requests, makes steps, sends events. One call of step() plans one batch, runs
// it, samples and reports. Tests and the engine's thread drive the same object.
//
// Thread rule: one thread. Everything passed to the constructor outlives the loop.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/active_request.h"
#include "engine/engine.h"
#include "engine/engine_counters.h"
#include "engine/scheduler.h"
#include "engine/step_batch.h"
#include "engine/step_gate.h"

namespace strata {

struct Submission {
  uint64_t handle = 0;  // ascending
  Request request;      // passed check_request()
  EventSink sink;
  TimePoint submitted;
};

class StepLoop {
 public:
  StepLoop(Runner& runner, const Tokenizer& tokenizer, const EngineOptions& options, const Clock& clock,
           EngineCounters& counters, EngineObserver* observer, StepGate* gate);
  ~StepLoop();

  void add(Submission submission);
  void cancel(uint64_t handle);  // unknown handles are ignored
  void cancel_all();

  // False when there is nothing to do.
  bool step();
  bool empty() const { return active_.empty(); }
  const Scheduler& scheduler() const { return scheduler_; }

 private:
  // What one row of logits of the step just run is for. Requests are named by handle: one that fails takes its other
  // rows with it.
  struct Outcome {
    enum Kind : uint8_t { kPromptRow, kSample, kPromptOnly };  // the last: nothing more is wanted; it has no row
    Kind kind;
    uint64_t handle;
    int choice;
    int position;  // of the token that gave the row
  };

  // An event on its way. The last one of a request takes the request along, since the sink is part of it.
  struct Letter {
    EventSink* sink;
    Event event;
    std::unique_ptr<ActiveRequest> ended;
  };

  void expire();
  void note_first_scheduling();
  Result<std::span<const float>> run_plan();
  void fail_plan(const Status& status);
  void collect_outcomes();
  void handle_outcomes(std::span<const float> logits);
  void add_prompt_row(ActiveRequest& active, std::span<const float> logits, int position);
  void open_choices(ActiveRequest& active, std::span<const float> logits, int position);
  bool extend(ActiveRequest& active, int choice, std::span<const float> logits, int position);
  void observe_token(ActiveRequest& active, int choice);
  void end_without_tokens(ActiveRequest& active, FinishReason reason, const Status& error);
  void send(ActiveRequest& active, Event&& event);
  void deliver();
  void note_release();
  void publish_counters();

  Runner& runner_;
  const Tokenizer& tokenizer_;
  const Clock& clock_;
  EngineCounters& counters_;
  EngineObserver* const observer_;
  std::unique_ptr<StepGate::Member> gate_;
  const std::vector<TokenId> model_end_tokens_;

  Scheduler scheduler_;
  StepPlan plan_;
  StepBatch batch_;
  Sampler sampler_;
  std::vector<Outcome> outcomes_;
  std::vector<Letter> letters_;
  std::unordered_map<uint64_t, std::unique_ptr<ActiveRequest>> active_;
  TimePoint now_;
  TimePoint run_began_;
  std::optional<TimePoint> last_release_;  // a request ended
  double release_seconds_ = 0;             // between two ends; recent average
};

}  // namespace strata
