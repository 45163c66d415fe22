// The part of the scheduler that deals with blocks: prefix sharing, allocation, copy on write, preemption.
#include <algorithm>
#include <span>

#include "base/check.h"
#include "engine/scheduler.h"

namespace strata {

const Hash128& Scheduler::name(Sequence& sequence, int block) {
  const size_t size = static_cast<size_t>(options_.block_tokens);
  const std::span<const TokenId> tokens = sequence.tokens;
  while (sequence.names.size() < static_cast<size_t>(block) + 2) {
    const size_t done = sequence.names.size() - 1;
    sequence.names.push_back(prefix_block(sequence.names.back(), tokens.subspan(done * size, size)));
  }
  return sequence.names[static_cast<size_t>(block) + 1];
}

// Whether at least half of a waiting prompt need not be computed. Blocks are evicted from the tail, so the count of
// known ones is looked for from where it was.
bool Scheduler::is_mostly_known(Sequence& sequence) {
  if (!options_.prefix_cache || !sequence.is_first_pass() || sequence.end_prompt_rows > 0) return false;
  const auto is_known = [&](int block) {
    return (block + 1) * options_.block_tokens < sequence.length() && index_.find(name(sequence, block)).has_value();
  };
  while (sequence.known_blocks > 0 && !is_known(sequence.known_blocks - 1)) --sequence.known_blocks;
  while (is_known(sequence.known_blocks)) ++sequence.known_blocks;
  return 2 * sequence.known_blocks * options_.block_tokens >= sequence.length();
}

// The waiting sequence to admit next: the first in rank, or one that came soon after it with the same priority and is
// mostly in the prefix cache. Who came later than the window never goes before it, so nobody waits for ever.
Sequence& Scheduler::next_newcomer() {
  Sequence& first = **waiting_.begin();
  for (Sequence* sequence : waiting_) {
    if (sequence->rank.priority != first.rank.priority || sequence->arrived > first.arrived + kArrivalWindow) break;
    if (is_mostly_known(*sequence)) return *sequence;
  }
  return first;
}

bool Scheduler::goes_before(Sequence& newcomer, Sequence& running) {
  if (newcomer.rank < running.rank) return true;
  if (newcomer.rank.priority != running.rank.priority || newcomer.arrived > running.arrived + kArrivalWindow ||
      2 * running.cached_tokens >= running.n_prompt || !is_mostly_known(newcomer)) {
    return false;
  }
  // One that shares what comes next is better off waiting for it.
  const int next = newcomer.known_blocks;
  const int end = (next + 1) * options_.block_tokens;
  return end > running.length() || end > newcomer.length() || name(newcomer, next) != name(running, next);
}

// At least the last token is always computed: somebody wants its logits.
void Scheduler::take_known_blocks(Sequence& sequence) {
  const int size = options_.block_tokens;
  if (!options_.prefix_cache || sequence.scheduled % size != 0) return;
  while (sequence.scheduled + size < sequence.length()) {
    const int end = sequence.scheduled + size;
    if (sequence.next_prompt_row < std::min(end, sequence.end_prompt_rows)) return;  // its rows of logits are wanted
    const auto found = index_.find(name(sequence, sequence.scheduled / size));
    if (!found) return;
    sequence.table.push_back(pool_.acquire(*found));
    sequence.scheduled = sequence.computed = end;
    ++sequence.published;
    if (sequence.is_first_pass()) {
      sequence.cached_tokens += size;
      counters_.prefix_hits += static_cast<uint64_t>(size);
    }
  }
}

// Cuts a chunk at the first block that this sequence can soon take over instead of computing it.
int Scheduler::stop_at_shared_block(Sequence& sequence, int count) {
  const int size = options_.block_tokens;
  if (!options_.prefix_cache || sequence.next_prompt_row < sequence.end_prompt_rows) return count;
  for (int begin = (sequence.scheduled + size - 1) / size * size; begin < sequence.scheduled + count; begin += size) {
    if (begin + size >= sequence.length()) break;
    const Hash128& block_name = name(sequence, begin / size);
    const Sequence* owner = index_.claimant(block_name);
    const bool computing =
        owner != nullptr && owner != &sequence && (owner->rank < sequence.rank || owner->in_flight > 0);
    if (computing || index_.find(block_name)) return begin - sequence.scheduled;
  }
  return count;
}

void Scheduler::claim_blocks(Sequence& sequence, int count) {
  const int size = options_.block_tokens;
  if (!options_.prefix_cache) return;
  for (int begin = (sequence.scheduled + size - 1) / size * size; begin < sequence.scheduled + count; begin += size) {
    if (begin + size > sequence.length()) break;
    const Hash128& block_name = name(sequence, begin / size);
    const Sequence* owner = index_.claimant(block_name);
    if (owner != nullptr && !(sequence.rank < owner->rank)) continue;
    index_.claim(block_name, &sequence);
    sequence.claims.push_back(block_name);
  }
}

// Before the first write to a block that forks share, this sequence gets a copy. False: no block was to be had.
bool Scheduler::own_partial_block(Sequence& sequence, StepPlan& plan) {
  if (sequence.scheduled % options_.block_tokens == 0) return true;
  Block& last = sequence.table[static_cast<size_t>(sequence.scheduled / options_.block_tokens)];
  while (last.use_count() > 1) {
    if (auto block = pool_.allocate()) {
      plan.block_ops.push_back({last.id(), block->id()});
      last = *std::move(block);
    } else if (!preempt_after(sequence, plan)) {
      return false;
    }
  }
  return true;
}

// Makes the table cover `count` more tokens; returns how many it covers.
int Scheduler::reserve_blocks(Sequence& sequence, int count, StepPlan& plan) {
  if (!own_partial_block(sequence, plan)) return 0;
  const int needed = blocks_for(sequence.scheduled + count);
  while (static_cast<int>(sequence.table.size()) < needed) {
    if (auto block = pool_.allocate()) {
      plan.block_ops.push_back({-1, block->id()});
      sequence.table.push_back(*std::move(block));
    } else if (!preempt_after(sequence, plan)) {
      break;
    }
  }
  const int covered = static_cast<int>(sequence.table.size()) * options_.block_tokens;
  return std::min(count, covered - sequence.scheduled);
}

// Preempts the last in rank after `sequence` that no step holds.
bool Scheduler::preempt_after(const Sequence& sequence, StepPlan& plan) {
  for (auto last = running_.rbegin(); last != running_.rend() && sequence.rank < (*last)->rank; ++last) {
    if ((*last)->in_flight > 0) continue;
    preempt(**last);
    ++plan.preempted;
    return true;
  }
  return false;
}

void Scheduler::preempt(Sequence& sequence) {
  give_back(sequence);
  ++sequence.preemptions;
}

// The sequence waits again, with nothing computed.
void Scheduler::give_back(Sequence& sequence) {
  CHECK_EQ(sequence.in_flight, 0);
  for (const Hash128& claim : sequence.claims) index_.drop_claim(claim, &sequence);
  sequence.claims.clear();
  leave_running(sequence);
  while (!sequence.table.empty()) sequence.table.pop_back();
  sequence.scheduled = sequence.computed = sequence.published = 0;
  sequence.state = SequenceState::kWaiting;
  waiting_.insert(&sequence);
}

}  // namespace strata
