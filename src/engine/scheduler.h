// Decides what the next step computes: a policy over sequences and blocks that knows no model, no thread and no clock
// but the time passed in. The engine, tests and the simulator run the same object.
//
// A step is one flat batch under a token budget. Sequences with one token left to compute (decodes) go first, then
// prefill chunks; both by rank (priority, arrival, choice): the first prompt gets all there is until it is computed.
// Only a prompt that is mostly in the prefix cache goes before those that came less than kArrivalWindow earlier.
//
// What prefill gets of a step follows the measured cost of steps, so that running streams keep a bounded gap
// (prefill_share.h). A waiting sequence is admitted when the free blocks cover
// all its known tokens, what the running ones still need for theirs, and one block of growth for each. When a running
// sequence finds no block, the lowest-ranked one after it is preempted: it gives its blocks back and is computed again
// later, mostly from the prefix cache. The first in rank can always preempt all others, so whatever fits alone
// finishes.
//
// Prefix sharing happens where a sequence stands at a block border: a known block is taken over; a block that a
// sequence ahead of it is computing is waited for; any other is claimed and computed. A claim dies with a preemption or
// a cancellation, and the next waiter in rank takes over.
//
// A model may have other rotary frequencies for sequences of more than short_context tokens (longrope). One that grows
// beyond gives its blocks back, waits, and is computed again from its tokens, under other names of its blocks.
//
// Several steps may be in flight: schedule() does not need the outcome of the step before. Per step: schedule, run the
// plan, commit (or abandon), then append or finish for the sequences that were sampled.
//
// Thread rule: the engine thread alone.
#pragma once

#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "engine/admission.h"
#include "engine/block_pool.h"
#include "engine/prefill_share.h"
#include "engine/prefix_index.h"
#include "engine/sequence.h"
#include "engine/step_cost.h"
#include "engine/step_plan.h"

namespace strata {

struct SchedulerOptions {
  int n_blocks = 0;
  int block_tokens = 16;
  int max_batch_tokens = 512;  // T of a step
  int max_sequences = 64;      // S of a step, and most sequences running at once before forks
  int max_outputs = 64;        // O of a step
  int prefill_chunk = 0;       // most tokens of one sequence in a step; 0: the budget
  int short_context = 0;       // > 0: a sequence that grows beyond so many tokens is computed anew (RunnerLimits)
  Duration target_itl{};       // longest step while sequences decode; 0: follows the time that they take themselves
  bool prefix_cache = true;
  Hash128 cache_identity;
};

struct SchedulerCounters {
  uint64_t preemptions = 0;
  uint64_t prefix_queries = 0;  // tokens looked up
  uint64_t prefix_hits = 0;     // tokens found
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();

  // The rank must be new. The prompt is not empty and fits the cache alone with everything that will be appended.
  Sequence& add(SequenceSpec spec);

  // Fills `plan`. An empty plan means that nothing can be computed now: no sequence has work left, or all that have
  // wait for a step in flight.
  void schedule(TimePoint now, StepPlan& plan);

  // How long a step took; the budgets of later ones follow.
  void observe(const StepPlan& plan, Duration took);

  // The step was computed: its tokens are in the cache.
  void commit(const StepPlan& plan);
  // The step failed: what it wrote is worthless. The caller finishes its sequences.
  void abandon(const StepPlan& plan);

  // The sampled token becomes the next to compute. No step may hold the sequence.
  void append(Sequence& sequence, TokenId token);
  // Another choice that shares everything computed; the parent has all its tokens computed. Blocks are copied on write.
  Sequence& fork(const Sequence& parent, int choice);
  // The sequence is gone for the caller; its blocks are free at once, or when the steps that hold it have come back.
  void finish(Sequence& sequence);

  // Sequences whose deadline has passed, in rank order.
  std::vector<SequenceRank> expired(TimePoint now) const;

  int running() const { return static_cast<int>(running_.size()); }
  int waiting() const { return static_cast<int>(waiting_.size()); }
  bool empty() const { return sequences_.empty(); }
  const BlockPool& pool() const { return pool_; }
  const PrefixIndex& index() const { return index_; }
  const SchedulerCounters& counters() const { return counters_; }
  // For admission. `release_seconds`: between two ends of requests.
  Backlog backlog(double release_seconds) const;

 private:
  static constexpr Duration kArrivalWindow = std::chrono::milliseconds(500);
  static constexpr Duration kCrowdWindow = std::chrono::seconds(2);

  struct Room {  // what is left of the step's limits
    int tokens;
    int sequences;
    int outputs;
    double seconds = std::numeric_limits<double>::infinity();  // for prefill
    bool full() const { return tokens <= 0 || sequences <= 0; }
  };
  struct ByRank {
    bool operator()(const Sequence* a, const Sequence* b) const { return a->rank < b->rank; }
  };

  void place_decodes(Room& room, StepPlan& plan);
  void place_prefills(Room& room, StepPlan& plan);
  void place(Sequence& sequence, Room& room, StepPlan& plan);
  double prefill_seconds(const StepPlan& plan);
  double decode_seconds(const StepLoad& decodes) const;
  PromptQueue prompt_queue() const;
  double seconds_left(const Sequence& sequence) const;
  Sequence& next_newcomer();
  bool is_mostly_known(Sequence& sequence);
  bool goes_before(Sequence& newcomer, Sequence& running);
  bool admit(Sequence& sequence);
  int unallocated_blocks() const;

  const Hash128& name(Sequence& sequence, int block);
  void take_known_blocks(Sequence& sequence);
  int stop_at_shared_block(Sequence& sequence, int count);
  void claim_blocks(Sequence& sequence, int count);
  int prompt_rows(const Sequence& sequence, int count) const;
  int fit_outputs(const Sequence& sequence, int count, int max_outputs) const;

  bool own_partial_block(Sequence& sequence, StepPlan& plan);
  int reserve_blocks(Sequence& sequence, int count, StepPlan& plan);
  bool preempt_after(const Sequence& sequence, StepPlan& plan);
  void preempt(Sequence& sequence);
  void give_back(Sequence& sequence);
  bool is_outgrown(const Sequence& sequence) const {
    return options_.short_context > 0 && sequence.length() > options_.short_context;
  }
  void leave_running(Sequence& sequence);
  void release(Sequence& sequence);

  int blocks_for(int tokens) const { return (tokens + options_.block_tokens - 1) / options_.block_tokens; }

  const SchedulerOptions options_;
  BlockPool pool_;
  PrefixIndex index_;
  std::map<SequenceRank, std::unique_ptr<Sequence>> sequences_;
  std::vector<Sequence*> running_;  // by rank
  std::set<Sequence*, ByRank> waiting_;
  std::deque<TimePoint> arrivals_;   // within kCrowdWindow
  std::vector<Sequence*> snapshot_;  // running_ as the step began
  int deadlines_ = 0;                // sequences that have one
  const PrefillShare share_;
  StepCost cost_;                // of all steps
  StepCost decode_cost_;         // of steps without prefill
  int64_t arrived_tokens_ = 0;  // of prompts that came since the step planned last, to be computed
  double step_tokens_ = 0;      // the same, average of late steps
  double decode_seconds_ = 0;   // expected, of the decodes in the step planned last
  bool prompt_ended_ = false;   // in the step planned last, beside decodes
  int mixed_steps_ = 0;         // steps in a row that had decodes and prefill
  bool lacks_room_ = false;     // the first in the queue could not be admitted to that step
  double unknown_share_ = 1;    // of prompts, not in the prefix cache when they came; recent average
  SchedulerCounters counters_;
};

}  // namespace strata
