#include "compute/kernels/float_mode.h"

#if defined(__x86_64__)
#include <pmmintrin.h>
#include <xmmintrin.h>
#endif

namespace strata {
namespace {

#if defined(__x86_64__)
uint64_t read_mode() { return _mm_getcsr(); }
void write_mode(uint64_t mode) { _mm_setcsr(static_cast<uint32_t>(mode)); }
uint64_t for_computing(uint64_t mode) {
  constexpr uint64_t kChanged = _MM_ROUND_MASK | _MM_FLUSH_ZERO_MASK | _MM_DENORMALS_ZERO_MASK;
  return (mode & ~kChanged) | _MM_ROUND_NEAREST | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON;
}
#elif defined(__aarch64__)
uint64_t read_mode() {
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  return fpcr;
}
void write_mode(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
uint64_t for_computing(uint64_t mode) { return (mode & ~(3ul << 22)) | (1ul << 24); }  // RMode = nearest, FZ = 1
#else
uint64_t read_mode() { return 0; }
void write_mode(uint64_t) {}
uint64_t for_computing(uint64_t mode) { return mode; }
#endif

}  // namespace

void set_compute_float_mode() { write_mode(for_computing(read_mode())); }

ComputeFloatMode::ComputeFloatMode() : before_(read_mode()) { write_mode(for_computing(before_)); }

// Flags of exceptions come back as they were too: nobody reads them.
ComputeFloatMode::~ComputeFloatMode() { write_mode(before_); }

}  // namespace strata
