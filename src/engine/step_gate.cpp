#include "engine/step_gate.h"

#include <algorithm>

namespace strata {

StepGate::Turn::~Turn() {
  if (member_ != nullptr) member_->gate_.leave(*member_);
}

StepGate::Member::Member(StepGate& gate) : gate_(gate) {
  const std::lock_guard lock(gate_.mutex_);
  gate_.members_.push_back(this);
}

StepGate::Member::~Member() {
  const std::lock_guard lock(gate_.mutex_);
  std::erase(gate_.members_, this);
  gate_.changed_.notify_all();
}

StepGate::Turn StepGate::Member::enter() {
  std::unique_lock lock(gate_.mutex_);
  virtual_time_ = std::max(virtual_time_, gate_.virtual_now_);
  waiting_ = true;
  gate_.changed_.notify_all();  // somebody may be waiting for this member to come back
  for (;;) {
    TimePoint look_again = TimePoint::max();
    if (gate_.may_go(*this, steady_clock().now(), look_again)) break;
    if (look_again == TimePoint::max()) {
      gate_.changed_.wait(lock);
    } else {
      gate_.changed_.wait_until(lock, look_again);
    }
  }
  waiting_ = false;
  expected_ = true;
  gate_.busy_ = true;
  gate_.virtual_now_ = virtual_time_;
  gate_.turn_began_ = gate_.clock_.now();
  return Turn(this);
}

void StepGate::Member::rest() {
  const std::lock_guard lock(gate_.mutex_);
  if (!expected_) return;
  expected_ = false;
  gate_.changed_.notify_all();
}

Duration StepGate::Member::used() const {
  const std::lock_guard lock(gate_.mutex_);
  return used_;
}

// Nobody with less virtual time waits, or is expected back within its grace. Equal times: the one registered first.
bool StepGate::may_go(const Member& member, TimePoint now, TimePoint& look_again) const {
  if (busy_) return false;
  bool before = false;  // members registered before this one come first
  bool free = true;
  for (const Member* other : members_) {
    if (other == &member) {
      before = true;
      continue;
    }
    const bool ahead =
        before ? other->virtual_time_ < member.virtual_time_ : other->virtual_time_ <= member.virtual_time_;
    if (!ahead) continue;
    if (other->waiting_) {
      free = false;
    } else if (other->expected_ && now < other->left_at_ + return_grace_) {
      free = false;
      look_again = std::min(look_again, other->left_at_ + return_grace_);
    }
  }
  return free;
}

void StepGate::leave(Member& member) {
  const std::lock_guard lock(mutex_);
  const Duration cost = clock_.now() - turn_began_;
  member.virtual_time_ += cost;
  member.used_ += cost;
  member.left_at_ = steady_clock().now();
  busy_ = false;
  changed_.notify_all();
}

}  // namespace strata
