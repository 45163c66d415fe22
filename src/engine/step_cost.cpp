#include "engine/step_cost.h"

#include <algorithm>
#include <cmath>

#include "engine/step_plan.h"

namespace strata {
namespace {

constexpr double kPositions = 1024;  // attention is counted in thousands of positions, so that costs are of one size

// Before anything is learned: each cost as a share of the step's own. A step whose weights stream from memory costs
// about as much as ten prompt tokens.
constexpr double kShape[] = {1, 0.06, 0.1, 0.02, 0.03};

constexpr double kNoise = 0.05;         // of a step's time, one standard deviation
constexpr double kMachineDrift = 0.02;  // of all costs together, from step to step
constexpr double kCostDrift = 0.005;    // of each cost alone
constexpr double kDoubt = 1;            // most that is ever forgotten: the standard deviation of a cost over itself
constexpr double kMostDoubt = 0.3;      // of what is called known, in the same measure
constexpr double kMostSurprise = 3;     // standard deviations of which one step can convince
constexpr double kMostFollowed = 1.05;  // more in one step is not the machine
constexpr double kLeastShare = 1e-3;    // no cost falls below this part of its share in the shape

double dot(const auto& a, const auto& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

void StepLoad::add(int begin, int count) {
  const double positions = count * (begin + (count + 1) / 2.0);
  if (count == 1) {
    ++decodes;
    decode_positions += positions;
  } else {
    prefill_tokens += count;
    prefill_positions += positions;
  }
}

StepLoad load_of(const StepPlan& plan) {
  StepLoad load;
  for (const StepEntry& entry : plan.entries) load.add(entry.begin, entry.count);
  return load;
}

StepCost::Vector StepCost::vector_of(const StepLoad& load) {
  return {1, double(load.decodes), double(load.prefill_tokens), load.decode_positions / kPositions,
          load.prefill_positions / kPositions};
}

void StepCost::begin(const Vector& load, double seconds) {
  Vector shape{};
  std::copy(std::begin(kShape), std::end(kShape), shape.begin());
  const double scale = seconds / dot(shape, load);
  for (size_t i = 0; i < kCosts; ++i) {
    costs_[i] = shape[i] * scale;
    variance_[i] = {};
    variance_[i][i] = kDoubt * kDoubt * costs_[i] * costs_[i];
  }
  known_ = true;
}

// What may have changed since the step before. A cost that is not seen for long is doubted, but not without limit.
void StepCost::drift(double machine) {
  for (size_t i = 0; i < kCosts; ++i) {
    for (size_t j = 0; j < kCosts; ++j) variance_[i][j] += machine * machine * costs_[i] * costs_[j];
    variance_[i][i] += kCostDrift * kCostDrift * costs_[i] * costs_[i];
  }
  for (size_t i = 0; i < kCosts; ++i) {
    const double most = kDoubt * kDoubt * costs_[i] * costs_[i];
    if (variance_[i][i] <= most) continue;
    const double factor = std::sqrt(most / variance_[i][i]);
    for (size_t j = 0; j < kCosts; ++j) {
      variance_[i][j] *= factor;
      variance_[j][i] *= factor;
    }
  }
}

void StepCost::learn(const StepLoad& load, Duration took) {
  const double measured = to_seconds(took);
  if (load.empty() || measured <= 0) return;
  const Vector x = vector_of(load);
  if (known_) {
    drift(kMachineDrift);
  } else {
    begin(x, measured);
  }
  correct(x, measured);
}

void StepCost::correct(const Vector& x, double measured) {
  Vector gain{};
  for (size_t i = 0; i < kCosts; ++i) gain[i] = dot(variance_[i], x);
  const double expected = dot(costs_, x);
  const double noise = kNoise * expected;
  const double spread = dot(gain, x) + noise * noise;
  const double most = kMostSurprise * std::sqrt(spread);
  const double surprise = std::clamp(measured - expected, -most, most);
  for (size_t i = 0; i < kCosts; ++i) {
    costs_[i] += gain[i] * surprise / spread;
    for (size_t j = 0; j < kCosts; ++j) variance_[i][j] -= gain[i] * gain[j] / spread;
  }
  const double total = *std::max_element(costs_.begin(), costs_.end());
  for (size_t i = 0; i < kCosts; ++i) costs_[i] = std::max(costs_[i], kLeastShare * kShape[i] * total);
}

void StepCost::follow(double ratio) {
  ratio = std::clamp(ratio, 1 / kMostFollowed, kMostFollowed);
  for (size_t i = 0; i < kCosts; ++i) {
    costs_[i] *= ratio;
    for (size_t j = 0; j < kCosts; ++j) variance_[i][j] *= ratio * ratio;
  }
  drift(0);
}

double StepCost::seconds(const StepLoad& load) const { return load.empty() ? 0 : dot(costs_, vector_of(load)); }

bool StepCost::knows_prefill() const {
  const double most = kMostDoubt * costs_[kPrefill];
  return known_ && variance_[kPrefill][kPrefill] <= most * most;
}

double StepCost::position_seconds() const { return costs_[kPrefillPosition] / kPositions; }

double StepCost::prefill_token_seconds(int begin) const { return costs_[kPrefill] + position_seconds() * (begin + 1); }

// Solves count * (token + positions * (begin + (count + 1) / 2)) <= seconds.
int StepCost::prefill_within(double seconds, int begin, int most) const {
  if (!known_) return most;
  const double square = position_seconds() / 2;
  const double linear = costs_[kPrefill] + position_seconds() * (begin + 0.5);
  const double room = std::max(seconds, 0.0);
  const double count = 2 * room / (linear + std::sqrt(linear * linear + 4 * square * room));
  return count < most ? static_cast<int>(count) : most;
}

}  // namespace strata
