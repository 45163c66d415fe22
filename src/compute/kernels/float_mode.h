// The floating-point mode of every thread that computes: round to nearest, subnormal results and operands are zero
// (FTZ and DAZ on). One setting everywhere, because a result must not depend on the thread that computed it, and
// subnormal operands cost a hundred cycles each. Threads of the executor, and tests that compare bits, call this first.
#pragma once

#include <cstdint>

namespace strata {

// Sets the mode of the calling thread; cheap, may be called again. A mode is not inherited by threads started earlier.
void set_compute_float_mode();

// The mode while this lives, on a thread that has other work too: afterwards it computes as before.
class ComputeFloatMode {
 public:
  ComputeFloatMode();
  ~ComputeFloatMode();
  ComputeFloatMode(const ComputeFloatMode&) = delete;
  ComputeFloatMode& operator=(const ComputeFloatMode&) = delete;

 private:
  uint64_t before_;  // the control register
};

}  // namespace strata
