#include "compute/kernels/ceiling_loops.h"

#include <immintrin.h>

namespace strata {
namespace {

constexpr int kChains = 10;  // covers latency times width of every unit so far

// One round: `step` on each of ten accumulators, in assembly so that nothing is moved to memory or left out.
#define STRATA_ROUND(step, a, acc)                                                                                 \
  asm volatile(step("%0") step("%1") step("%2") step("%3") step("%4") step("%5") step("%6") step("%7") step("%8")  \
                   step("%9")                                                                                      \
               : "+x"(acc##0), "+x"(acc##1), "+x"(acc##2), "+x"(acc##3), "+x"(acc##4), "+x"(acc##5), "+x"(acc##6), \
                 "+x"(acc##7), "+x"(acc##8), "+x"(acc##9)                                                          \
               : "x"(a)                                                                                            \
               : "xmm14")

#define STRATA_CHAINS(name, step, operations)                                               \
  double name(int64_t iterations) {                                                         \
    const __m256i a = _mm256_setzero_si256();                                               \
    __m256i c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a; \
    for (int64_t i = 0; i < iterations; ++i) STRATA_ROUND(step, a, c);                      \
    return static_cast<double>(iterations) * kChains * (operations);                        \
  }

// 32 products of int8 and their sum in pairs; then a sum of int16, as large as the numbers of most weights allow.
#define STRATA_INT8(acc) "vpmaddubsw %10, %10, %%ymm14\n\tvpaddw %%ymm14, " acc ", " acc "\n\t"
#define STRATA_FP32(acc) "vfmadd231ps %10, %10, " acc "\n\t"

double no_instruction(int64_t) { return 0; }
STRATA_CHAINS(int8, STRATA_INT8, 64)
STRATA_CHAINS(fp32, STRATA_FP32, 16)

uint64_t read(const void* memory, size_t bytes) {
  const auto* at = static_cast<const char*>(memory);
  __m256i sums[8];
  for (__m256i& s : sums) s = _mm256_setzero_si256();
  for (size_t i = 0; i + 256 <= bytes; i += 256) {
    for (size_t j = 0; j < 8; ++j) {
      sums[j] = _mm256_xor_si256(sums[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i + j * 32)));
    }
  }
  for (size_t j = 1; j < 8; ++j) sums[0] = _mm256_xor_si256(sums[0], sums[j]);
  uint64_t words[4], sum = 0;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(words), sums[0]);
  for (const uint64_t w : words) sum += w;
  return sum;
}

}  // namespace

const CeilingLoops kAvx2CeilingLoops = {int8, no_instruction, fp32, read};

}  // namespace strata
