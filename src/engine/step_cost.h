// What a step will take, learned from the steps that were made: a linear model of five costs (the step itself, a
// decoded token, a prompt token, and attention's share of both by context), followed by a Kalman filter. The filter
// expects that the machine as a whole changes speed more often than one cost changes against the others, so that steps
// of one kind keep the costs of the other kind current. One late step moves it little; a lasting change is followed
// within some twenty steps.
//
// Pure arithmetic: no clock, no thread. Thread rule: one thread.
#pragma once

#include <array>

#include "base/clock.h"

namespace strata {

struct StepPlan;

// The work of one step.
struct StepLoad {
  int decodes = 0;               // sequences that compute one token
  int prefill_tokens = 0;        // tokens of the others
  double decode_positions = 0;   // what the decodes attend to, in all
  double prefill_positions = 0;  // what the prefill tokens attend to, in all

  // `count` tokens of a sequence that has `begin` before them.
  void add(int begin, int count);
  bool empty() const { return decodes == 0 && prefill_tokens == 0; }
};

StepLoad load_of(const StepPlan& plan);

class StepCost {
 public:
  // Before the first step nothing is known: estimates are zero.
  bool known() const { return known_; }
  // Whether steps have shown what prompt tokens cost. One that was hardly a prompt's does not.
  bool knows_prefill() const;
  void learn(const StepLoad& load, Duration took);

  // The machine takes `ratio` times as long as at the step before, as another StepCost saw.
  void follow(double ratio);

  double seconds(const StepLoad& load) const;  // of a whole step
  // Of one prompt token that has `begin` before it, in a step that is made anyway; and how much each of those adds.
  double prefill_token_seconds(int begin) const;
  double position_seconds() const;
  // The most prompt tokens of a sequence after its first `begin` that take at most `seconds` in a step that is made
  // anyway; not more than `most`.
  int prefill_within(double seconds, int begin, int most) const;

 private:
  enum Cost : size_t { kBase, kDecode, kPrefill, kDecodePosition, kPrefillPosition, kCosts };
  using Vector = std::array<double, kCosts>;

  static Vector vector_of(const StepLoad& load);
  void begin(const Vector& load, double seconds);
  void correct(const Vector& load, double seconds);
  void drift(double machine);

  bool known_ = false;
  Vector costs_{};                         // seconds
  std::array<Vector, kCosts> variance_{};  // of the costs, a covariance matrix
};

}  // namespace strata
