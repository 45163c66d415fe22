#include "compute/kernels/float_mode.h"

#if defined(__x86_64__)
#include <pmmintrin.h>
#include <xmmintrin.h>
#endif

namespace strata {

void set_compute_float_mode() {
#if defined(__x86_64__)
  _MM_SET_ROUNDING_MODE(_MM_ROUND_NEAREST);
  _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
  _MM_SET_DENORMALS_ZERO_MODE(_MM_DENORMALS_ZERO_ON);
#elif defined(__aarch64__)
  unsigned long fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  fpcr = (fpcr & ~(3ul << 22)) | (1ul << 24);  // RMode = nearest, FZ = 1
  __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#endif
}

}  // namespace strata
