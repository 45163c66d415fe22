// STRATA_UNROLL before a loop of constant, small count: its body is written out, so that arrays of vectors indexed by
// the counter live in registers.
#pragma once

#if defined(__clang__)
#define STRATA_UNROLL _Pragma("unroll")
#else
#define STRATA_UNROLL _Pragma("GCC unroll 16")
#endif
