// IEEE binary16 <-> binary32, in integers: the same bits with and without hardware support, whatever the float mode.
#pragma once

#include <cstdint>

namespace strata {

float half_to_float(uint16_t half);
// Rounds to nearest, ties to even; too large becomes infinity; NaN stays NaN.
uint16_t float_to_half(float value);

}  // namespace strata
