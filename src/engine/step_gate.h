// Lets the engines of one process take turns at its compute threads. Turns are given by start-time fair queueing
// (Goyal, Vin, Cheng, SIGCOMM 1996): every member has a virtual time that grows by the measured cost of its steps, and
// the least goes first, so a small model makes many steps for each step of a large one and both get the same share of
// time. Between two steps a member is briefly away (sampling, planning); one that is ahead waits a grace for it.
//
// Thread rule: any thread; a member is used by one thread at a time. The gate outlives its members.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace strata {

class StepGate {
 public:
  static constexpr Duration kReturnGrace = std::chrono::milliseconds(2);

  // `clock` measures the cost of turns.
  explicit StepGate(const Clock& clock, Duration return_grace = kReturnGrace)
      : clock_(clock), return_grace_(return_grace) {}
  StepGate(const StepGate&) = delete;
  StepGate& operator=(const StepGate&) = delete;

  class Member;

  // Held while a step runs.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : member_(std::exchange(other.member_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();

   private:
    friend class Member;
    explicit Turn(Member* member) : member_(member) {}
    Member* member_;
  };

  class Member {
   public:
    explicit Member(StepGate& gate);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    Turn enter();           // waits for this member's turn
    void rest();            // after a step that none follows: nobody waits for this member
    Duration used() const;  // compute time of all its turns

   private:
    friend class StepGate;
    friend class Turn;
    StepGate& gate_;
    Duration virtual_time_{};
    Duration used_{};
    bool waiting_ = false;
    bool expected_ = false;  // between two steps
    TimePoint left_at_;      // on the system's clock, not clock_: how long it has been away
  };

 private:
  bool may_go(const Member& member, TimePoint now, TimePoint& look_again) const;
  void leave(Member& member);

  const Clock& clock_;
  const Duration return_grace_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Member*> members_;
  bool busy_ = false;
  TimePoint turn_began_;
  Duration virtual_now_{};  // start of the latest turn; who comes back from a rest starts here
};

}  // namespace strata
