// IEEE binary16, bfloat16, E8M0 and E4M3 <-> binary32, in integers: the same bits with and without hardware support,
// whatever the float mode (float_mode.h).
#pragma once

#include <cstdint>

namespace strata {

float half_to_float(uint16_t half);
// Rounds to nearest, ties to even; too large becomes infinity; NaN stays NaN.
uint16_t float_to_half(float value);

// bfloat16 is the upper half of binary32: every one is a float.
float bfloat16_to_float(uint16_t value);
// Rounds to nearest, ties to even; NaN stays NaN.
uint16_t float_to_bfloat16(float value);

// 2^(exponent - 128): half of the power of two that a byte of E8M0 stands for. The two smallest are subnormal.
float half_of_e8m0(uint8_t exponent);

// E4M3 as FP8 weights have it: no infinities, NaN where all bits but the sign are set.
float e4m3_to_float(uint8_t value);

}  // namespace strata
