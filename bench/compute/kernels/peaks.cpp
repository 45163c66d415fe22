#include "peaks.h"

#include <immintrin.h>

namespace strata::bench {
namespace {

constexpr int64_t kRounds = 50000;

// 24 independent sums in zmm0 - zmm23: written as assembly, so that no compiler moves them to memory.
#define SIX(op, a, b, c, d, e, f)                                                                              \
  op " %%zmm30, %%zmm31, %%zmm" #a "\n" op " %%zmm30, %%zmm31, %%zmm" #b "\n" op " %%zmm30, %%zmm31, %%zmm" #c \
     "\n" op " %%zmm30, %%zmm31, %%zmm" #d "\n" op " %%zmm30, %%zmm31, %%zmm" #e "\n" op " %%zmm30, %%zmm31, %%zmm" #f "\n"
#define LOOP(op)                                                                                               \
  int64_t rounds = kRounds;                                                                                    \
  asm volatile(                                                                                                \
      "vpxord %%zmm30, %%zmm30, %%zmm30\nvpxord %%zmm31, %%zmm31, %%zmm31\n.p2align 6\n1:\n" SIX(              \
          op, 0, 1, 2, 3, 4, 5) SIX(op, 6, 7, 8, 9, 10, 11) SIX(op, 12, 13, 14, 15, 16, 17)                    \
          SIX(op, 18, 19, 20, 21, 22, 23) "dec %0\njnz 1b\n"                                                   \
      : "+r"(rounds)                                                                                           \
      :                                                                                                        \
      : "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10", "zmm11",      \
        "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", "zmm21", "zmm22",     \
        "zmm23", "zmm30", "zmm31", "cc")
#define TARGET __attribute__((target("avx512f,avx512vnni,avx512bf16")))

TARGET void run_int8() { LOOP("vpdpbusd"); }
TARGET void run_bf16() { LOOP("vdpbf16ps"); }
TARGET void run_f32() { LOOP("vfmadd231ps"); }

}  // namespace

double run_arithmetic(Peak peak) {
  const double instructions = 24.0 * kRounds;
  switch (peak) {
    case Peak::kInt8: run_int8(); return instructions * 128;
    case Peak::kBF16: run_bf16(); return instructions * 64;
    case Peak::kF32: run_f32(); return instructions * 32;
  }
  return 0;
}

TARGET void read_memory(const void* p, size_t n) {
  const char* from = static_cast<const char*>(p);
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (size_t i = 0; i + 256 <= n; i += 256) {
    a = _mm512_xor_si512(a, _mm512_load_si512(from + i));
    b = _mm512_xor_si512(b, _mm512_load_si512(from + i + 64));
    c = _mm512_xor_si512(c, _mm512_load_si512(from + i + 128));
    d = _mm512_xor_si512(d, _mm512_load_si512(from + i + 192));
  }
  a = _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
  asm volatile("" : : "v"(a));
}

}  // namespace strata::bench
