// The measuring loops of one instruction set. Each runs `iterations` rounds and returns the operations it did, or 0
// when the processor has no such instruction.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata {

struct CeilingLoops {
  double (*int8)(int64_t iterations);
  double (*bf16)(int64_t iterations);
  double (*fp32)(int64_t iterations);
  uint64_t (*read)(const void* memory, size_t bytes);  // a checksum, so that nothing is left out
};

extern const CeilingLoops kGenericCeilingLoops;
extern const CeilingLoops kAvx2CeilingLoops;
extern const CeilingLoops kAvx512VnniCeilingLoops;
extern const CeilingLoops kAvx512CeilingLoops;

}  // namespace strata
