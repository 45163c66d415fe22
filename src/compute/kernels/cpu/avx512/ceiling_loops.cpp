#include "compute/kernels/ceiling_loops.h"

#include <immintrin.h>

namespace strata {
namespace {

constexpr int kChains = 12;  // covers latency times width of every unit so far

// One round: an instruction on each of twelve accumulators, in assembly so that nothing is moved to memory or left out.
#define STRATA_ROUND(instruction, a, acc)                                                                          \
  asm volatile(instruction                                                                                         \
               " %12, %12, %0\n\t" instruction " %12, %12, %1\n\t" instruction " %12, %12, %2\n\t" instruction     \
               " %12, %12, %3\n\t" instruction " %12, %12, %4\n\t" instruction " %12, %12, %5\n\t" instruction     \
               " %12, %12, %6\n\t" instruction " %12, %12, %7\n\t" instruction " %12, %12, %8\n\t" instruction     \
               " %12, %12, %9\n\t" instruction " %12, %12, %10\n\t" instruction " %12, %12, %11\n\t"               \
               : "+v"(acc##0), "+v"(acc##1), "+v"(acc##2), "+v"(acc##3), "+v"(acc##4), "+v"(acc##5), "+v"(acc##6), \
                 "+v"(acc##7), "+v"(acc##8), "+v"(acc##9), "+v"(acc##10), "+v"(acc##11)                            \
               : "v"(a))

#define STRATA_CHAINS(name, instruction, operations)                                                          \
  double name(int64_t iterations) {                                                                           \
    const __m512i a = _mm512_setzero_si512();                                                                 \
    __m512i c0 = a, c1 = a, c2 = a, c3 = a, c4 = a, c5 = a, c6 = a, c7 = a, c8 = a, c9 = a, c10 = a, c11 = a; \
    for (int64_t i = 0; i < iterations; ++i) STRATA_ROUND(instruction, a, c);                                 \
    return static_cast<double>(iterations) * kChains * (operations);                                          \
  }

STRATA_CHAINS(int8, "vpdpbusd", 128)
STRATA_CHAINS(bf16, "vdpbf16ps", 64)
STRATA_CHAINS(fp32, "vfmadd231ps", 32)

double no_instruction(int64_t) { return 0; }

uint64_t read(const void* memory, size_t bytes) {
  const auto* at = static_cast<const char*>(memory);
  __m512i sums[4];
  for (__m512i& s : sums) s = _mm512_setzero_si512();
  for (size_t i = 0; i + 256 <= bytes; i += 256) {
    for (int j = 0; j < 4; ++j)
      sums[j] = _mm512_xor_si512(sums[j], _mm512_loadu_si512(at + i + static_cast<size_t>(j) * 64));
  }
  const __m512i sum = _mm512_xor_si512(_mm512_xor_si512(sums[0], sums[1]), _mm512_xor_si512(sums[2], sums[3]));
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum));
}

}  // namespace

const CeilingLoops kAvx512VnniCeilingLoops = {int8, no_instruction, fp32, read};
const CeilingLoops kAvx512CeilingLoops = {int8, bf16, fp32, read};

}  // namespace strata
