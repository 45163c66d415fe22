#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"
#include "compute/graph/adapter_weights.h"

namespace strata {
namespace {

// So many in a row, then one without prefill: it alone shows what the decodes take on the machine as it is now.
constexpr int kMostMixedSteps = 32;

constexpr double kLoadSteps = 64;     // in which the prompts of a queue should be computed, and of a running average
constexpr double kShareMemory = 0.1;  // of a running average

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options), pool_(options.n_blocks), index_(pool_), share_(options.target_itl) {}

Scheduler::~Scheduler() = default;

Sequence& Scheduler::add(SequenceSpec spec) {
  CHECK(!spec.prompt.empty());
  auto owned = std::make_unique<Sequence>();
  Sequence& sequence = *owned;
  sequence.rank = spec.rank;
  sequence.n_prompt = static_cast<int>(spec.prompt.size());
  sequence.tokens = std::move(spec.prompt);
  sequence.samples = spec.samples;
  sequence.end_prompt_rows = spec.prompt_logprobs ? sequence.n_prompt - 1 : 0;
  sequence.adapter = std::move(spec.adapter);
  sequence.arrived = spec.arrived;
  sequence.deadline = spec.deadline;
  if (sequence.deadline) ++deadlines_;
  sequence.outgrown = is_outgrown(sequence);
  if (options_.prefix_cache) {
    const Hash128 adapter = sequence.adapter == nullptr ? Hash128{} : sequence.adapter->identity;
    const Hash128 root = prefix_root(options_.cache_identity, adapter, spec.cache_salt);
    sequence.names.push_back(sequence.outgrown ? prefix_outgrown(root) : root);
  }
  CHECK(sequences_.emplace(sequence.rank, std::move(owned)).second);
  waiting_.insert(&sequence);
  is_mostly_known(sequence);
  arrivals_.push_back(sequence.arrived);
  const int unknown_tokens = sequence.length() - sequence.known_blocks * options_.block_tokens;
  arrived_tokens_ += unknown_tokens;
  const double unknown = static_cast<double>(unknown_tokens) / sequence.length();
  unknown_share_ += kShareMemory * (unknown - unknown_share_);
  return sequence;
}

void Scheduler::schedule(TimePoint now, StepPlan& plan) {
  plan.clear();
  plan.time = now;
  Room room{options_.max_batch_tokens, options_.max_sequences, options_.max_outputs};
  snapshot_ = running_;
  place_decodes(room, plan);
  room.seconds = prefill_seconds(plan);
  if (!plan.empty() && mixed_steps_ >= kMostMixedSteps) room.seconds = 0;
  lacks_room_ = running() >= options_.max_sequences && !waiting_.empty();
  place_prefills(room, plan);
  const StepLoad load = load_of(plan);
  mixed_steps_ = load.decodes > 0 && load.prefill_tokens > 0 ? mixed_steps_ + 1 : 0;
  prompt_ended_ = mixed_steps_ > 0 && std::any_of(plan.entries.begin(), plan.entries.end(), [](const StepEntry& entry) {
                    return entry.samples && entry.count > 1;
                  });
  counters_.preemptions += static_cast<uint64_t>(plan.preempted);
}

void Scheduler::place_decodes(Room& room, StepPlan& plan) {
  for (Sequence* sequence : snapshot_) {
    if (room.full()) return;
    // One that was preempted for a sequence before it is waiting again.
    if (sequence->state == SequenceState::kRunning && sequence->remaining() == 1) place(*sequence, room, plan);
  }
}

void Scheduler::observe(const StepPlan& plan, Duration took) {
  const StepLoad load = load_of(plan);
  const double expected = cost_.seconds(load);
  cost_.learn(load, took);
  if (load.prefill_tokens == 0) {
    decode_cost_.learn(load, took);
  } else if (load.decodes > 0 && expected > 0) {
    decode_cost_.follow(cost_.seconds(load) / expected);
  }
}

// What the step's decodes would take without prefill. Steps that are all cut to one length do not tell what of it is
// prefill's, only how the machine as a whole changes, so the steps without any are asked.
double Scheduler::decode_seconds(const StepLoad& decodes) const {
  return (decode_cost_.known() ? decode_cost_ : cost_).seconds(decodes);
}

// The time that prefill may take of the step whose decodes are planned.
double Scheduler::prefill_seconds(const StepPlan& plan) {
  while (!arrivals_.empty() && arrivals_.front() + kCrowdWindow < plan.time) arrivals_.pop_front();
  step_tokens_ += (static_cast<double>(arrived_tokens_) - step_tokens_) / kLoadSteps;
  arrived_tokens_ = 0;
  const StepLoad decodes = load_of(plan);
  decode_seconds_ = decode_seconds(decodes);
  const PromptQueue queue = prompt_queue();
  if (decode_seconds_ == 0) return share_.seconds_alone(decode_seconds({.decodes = 1}), queue);
  const double beside = share_.seconds_beside(decode_seconds_, queue);
  if (beside == 0) return 0;
  return std::max(decode_seconds_ + beside - cost_.seconds(decodes), PrefillShare::least_seconds(decode_seconds_));
}

PromptQueue Scheduler::prompt_queue() const {
  PromptQueue queue{.one_ended = prompt_ended_};
  size_t prompts = 0;
  double waiting = 0;
  const Sequence* first = nullptr;
  const auto add = [&](const Sequence& sequence) {
    const double seconds = seconds_left(sequence);
    ++prompts;
    waiting += seconds;
    if (first != nullptr && first->rank < sequence.rank) return;
    first = &sequence;
    queue.first_seconds = seconds;
  };
  for (const Sequence* sequence : waiting_) add(*sequence);
  for (const Sequence* sequence : running_) {
    if (sequence->remaining() > 1) add(*sequence);
  }
  queue.crowd = std::max(prompts, arrivals_.size()) > 1;
  queue.step_seconds = std::max(step_tokens_ * cost_.prefill_token_seconds(0), waiting / kLoadSteps);
  return queue;
}

// Until the prompt is computed, if it had all of prefill's time from now on.
double Scheduler::seconds_left(const Sequence& sequence) const {
  const int known = std::max(sequence.scheduled, sequence.known_blocks * options_.block_tokens);
  const int left = std::max(0, sequence.length() - known);
  return left * cost_.prefill_token_seconds(known + left / 2);
}

Backlog Scheduler::backlog(double release_seconds) const {
  Backlog backlog;
  if (lacks_room_) backlog.release_seconds = release_seconds;
  backlog.share = share_;
  backlog.decode_seconds = decode_seconds_;
  backlog.one_decode_seconds = decode_seconds({.decodes = 1});
  backlog.more_decode_seconds = decode_seconds({.decodes = 2}) - backlog.one_decode_seconds;
  backlog.token_seconds = unknown_share_ * cost_.prefill_token_seconds(0);
  backlog.position_seconds = unknown_share_ * cost_.position_seconds();
  // Nobody is refused for what prompts take as long as no step has shown it.
  const double known = cost_.knows_prefill() ? 1 : 0;
  backlog.token_seconds *= known;
  backlog.position_seconds *= known;
  const auto add = [&](const Sequence& sequence, int waiting) {
    const int priority = sequence.rank.priority;
    auto at = std::find_if(backlog.classes.begin(), backlog.classes.end(),
                           [&](const Backlog::Class& each) { return each.priority >= priority; });
    if (at == backlog.classes.end() || at->priority != priority) at = backlog.classes.insert(at, {priority, 0, 0, 0});
    at->requests += waiting;
    ++at->prompts;
    at->seconds += known * seconds_left(sequence);
  };
  for (const Sequence* sequence : waiting_) add(*sequence, 1);
  for (const Sequence* sequence : running_) {
    if (sequence->remaining() > 1) add(*sequence, 0);
  }
  return backlog;
}

// Running prefills and newcomers in one order, so that an urgent newcomer is not kept behind a long prompt.
void Scheduler::place_prefills(Room& room, StepPlan& plan) {
  size_t next = 0;
  bool admitting = true;
  while (!room.full() && room.seconds > 0) {
    while (next < snapshot_.size() &&
           (snapshot_[next]->state != SequenceState::kRunning || snapshot_[next]->remaining() <= 1)) {
      ++next;
    }
    Sequence* running = next < snapshot_.size() ? snapshot_[next] : nullptr;
    // Blocks are short when somebody was just preempted; letting others in would only preempt again.
    admitting = admitting && plan.preempted == 0 && !waiting_.empty();
    Sequence* newcomer = admitting ? &next_newcomer() : nullptr;
    if (newcomer != nullptr && (running == nullptr || goes_before(*newcomer, *running))) {
      admitting = admit(*newcomer);
      lacks_room_ = lacks_room_ || !admitting;
      if (admitting) place(*newcomer, room, plan);
    } else if (running != nullptr) {
      place(*running, room, plan);
      ++next;
    } else {
      return;
    }
  }
}

void Scheduler::place(Sequence& sequence, Room& room, StepPlan& plan) {
  if (room.full()) return;
  if (sequence.in_flight == 0) take_known_blocks(sequence);
  int count = std::min(sequence.remaining(), room.tokens);
  if (options_.prefill_chunk > 0) count = std::min(count, options_.prefill_chunk);
  count = stop_at_shared_block(sequence, count);
  count = fit_outputs(sequence, count, room.outputs);
  count = std::min(count, std::max(1, cost_.prefill_within(room.seconds, sequence.scheduled, count)));
  if (count > 0) count = reserve_blocks(sequence, count, plan);
  if (count <= 0) return;
  claim_blocks(sequence, count);

  StepEntry entry;
  entry.sequence = &sequence;
  entry.begin = sequence.scheduled;
  entry.count = count;
  entry.samples = sequence.samples && count == sequence.remaining();
  entry.first_prompt_row = std::max(sequence.scheduled, sequence.next_prompt_row);
  entry.n_prompt_rows = prompt_rows(sequence, count);
  sequence.next_prompt_row += entry.n_prompt_rows;
  sequence.scheduled += count;
  ++sequence.in_flight;
  if (!sequence.first_scheduled) sequence.first_scheduled = plan.time;
  room.tokens -= count;
  room.sequences -= 1;
  room.outputs -= entry.n_outputs();
  room.seconds -= count * cost_.prefill_token_seconds(entry.begin + count / 2);
  plan.tokens += count;
  plan.outputs += entry.n_outputs();
  plan.entries.push_back(entry);
}

// Blocks that running sequences still need for the tokens they have.
int Scheduler::unallocated_blocks() const {
  int blocks = 0;
  for (const Sequence* sequence : running_) {
    blocks += std::max(0, blocks_for(sequence->length()) - static_cast<int>(sequence->table.size()));
  }
  return blocks;
}

bool Scheduler::admit(Sequence& sequence) {
  if (running() >= options_.max_sequences) return false;
  // A known block that is held costs nothing; one that is merely kept takes a free block like a new one does.
  int needed = blocks_for(sequence.length());
  if (options_.prefix_cache && sequence.next_prompt_row >= sequence.end_prompt_rows) {
    for (int block = 0; (block + 1) * options_.block_tokens < sequence.length(); ++block) {
      const auto found = index_.find(name(sequence, block));
      if (!found) break;
      if (pool_.is_held(*found)) --needed;
    }
  }
  if (needed + unallocated_blocks() + running() > pool_.available()) return false;
  waiting_.erase(&sequence);
  running_.insert(std::upper_bound(running_.begin(), running_.end(), &sequence, ByRank()), &sequence);
  sequence.state = SequenceState::kRunning;
  if (options_.prefix_cache && sequence.is_first_pass()) {
    counters_.prefix_queries += static_cast<uint64_t>(sequence.length());
  }
  return true;
}

// Rows for prompt logprobs that the next `count` tokens give; those given before a preemption are not asked for again.
int Scheduler::prompt_rows(const Sequence& sequence, int count) const {
  const int first = std::max(sequence.scheduled, sequence.next_prompt_row);
  return std::max(0, std::min(sequence.scheduled + count, sequence.end_prompt_rows) - first);
}

int Scheduler::fit_outputs(const Sequence& sequence, int count, int max_outputs) const {
  while (count > 0) {
    const int sampled = sequence.samples && count == sequence.remaining() ? 1 : 0;
    const int excess = prompt_rows(sequence, count) + sampled - max_outputs;
    if (excess <= 0) break;
    count -= excess;
  }
  return std::max(count, 0);
}

void Scheduler::commit(const StepPlan& plan) {
  for (const StepEntry& entry : plan.entries) {
    Sequence& sequence = *entry.sequence;
    --sequence.in_flight;
    if (sequence.state == SequenceState::kFinished) {
      if (sequence.in_flight == 0) release(sequence);
      continue;
    }
    sequence.computed = entry.begin + entry.count;
    if (!options_.prefix_cache) continue;
    for (; (sequence.published + 1) * options_.block_tokens <= sequence.computed; ++sequence.published) {
      const Hash128& block_name = name(sequence, sequence.published);
      index_.insert(block_name, sequence.table[static_cast<size_t>(sequence.published)].id());
      index_.drop_claim(block_name, &sequence);
      std::erase(sequence.claims, block_name);
    }
  }
}

void Scheduler::abandon(const StepPlan& plan) {
  for (const StepEntry& entry : plan.entries) {
    Sequence& sequence = *entry.sequence;
    --sequence.in_flight;
    if (sequence.state != SequenceState::kFinished) {
      sequence.scheduled = sequence.computed;
    } else if (sequence.in_flight == 0) {
      release(sequence);
    }
  }
}

void Scheduler::append(Sequence& sequence, TokenId token) {
  sequence.tokens.push_back(token);
  if (sequence.outgrown || !is_outgrown(sequence)) return;
  sequence.outgrown = true;
  if (sequence.state == SequenceState::kRunning) give_back(sequence);
  if (options_.prefix_cache) sequence.names = {prefix_outgrown(sequence.names.front())};
}

Sequence& Scheduler::fork(const Sequence& parent, int choice) {
  CHECK_EQ(parent.computed, parent.length());
  auto owned = std::make_unique<Sequence>(parent);
  Sequence& sequence = *owned;
  sequence.rank.choice = choice;
  sequence.claims.clear();
  sequence.end_prompt_rows = 0;
  if (sequence.deadline) ++deadlines_;
  CHECK(sequences_.emplace(sequence.rank, std::move(owned)).second);
  running_.insert(std::upper_bound(running_.begin(), running_.end(), &sequence, ByRank()), &sequence);
  return sequence;
}

void Scheduler::finish(Sequence& sequence) {
  for (const Hash128& claim : sequence.claims) index_.drop_claim(claim, &sequence);
  sequence.claims.clear();
  if (sequence.state == SequenceState::kRunning) leave_running(sequence);
  if (sequence.state == SequenceState::kWaiting) waiting_.erase(&sequence);
  sequence.state = SequenceState::kFinished;
  if (sequence.in_flight == 0) release(sequence);
}

std::vector<SequenceRank> Scheduler::expired(TimePoint now) const {
  std::vector<SequenceRank> late;
  if (deadlines_ == 0) return late;
  for (const auto& [rank, sequence] : sequences_) {
    if (sequence->state != SequenceState::kFinished && sequence->deadline && *sequence->deadline <= now) {
      late.push_back(rank);
    }
  }
  return late;
}

void Scheduler::leave_running(Sequence& sequence) {
  running_.erase(std::lower_bound(running_.begin(), running_.end(), &sequence, ByRank()));
}

void Scheduler::release(Sequence& sequence) {
  // The tail first, so that it is also evicted first: a block is of no use without the ones before it.
  while (!sequence.table.empty()) sequence.table.pop_back();
  if (sequence.deadline) --deadlines_;
  sequences_.erase(SequenceRank(sequence.rank));
}

}  // namespace strata
