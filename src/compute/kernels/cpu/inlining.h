// How the loops over lanes are brought into registers.
//   STRATA_INLINE   a function of this unit alone that is always part of its caller.
//   STRATA_UNROLL   before a loop of constant, small count: its body is written out, so that arrays of vectors indexed
//                   by the counter live in registers.
// Sanitized builds (STRATA_KERNELS_KEEP_CALLS) do neither: instrumented, the unrolled code takes minutes to compile.
#pragma once

#if defined(STRATA_KERNELS_KEEP_CALLS)
#define STRATA_INLINE static inline
#define STRATA_UNROLL
#elif defined(__clang__)
#define STRATA_INLINE static inline __attribute__((always_inline))
#define STRATA_UNROLL _Pragma("unroll")
#else
#define STRATA_INLINE static inline __attribute__((always_inline))
#define STRATA_UNROLL _Pragma("GCC unroll 16")
#endif
