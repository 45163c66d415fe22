// The meaning of every matmul, to the bit. Families whose arithmetic id is the one named here give these bits.
//
// f32.fma.1, f16.fma.1,  y = 0; for k ascending: y = fma(x[k], w[k], y). All fp32.
// fp8.fma.1              w is d * q, rounded once.
// bf16.fma.1             the same with x rounded to bfloat16.
// q*_0, q*_1, iq4_*,     x is kActQ8 (kActQ8x32: "q*.x32.fma.1"). With w = d * scale * q - dmin * min (QuantBlock), g
// mxfp4, int*            groups of scale_group() numbers in a block A of the activation, ascending:
// .fma.1                   y = 0; for blocks A, ascending, with the scale a:
//                            s = 0; for g: s = fma(float(sum of q * x over g, exact int32), scale[g], s)
//                            y = fma(s, d * a, y)
//                            types with minima (Minima::kPlain):
//                              m = 0; for g: m = fma(float(sum of x over g), min[g], m)
//                              y = fma(m, a, y)
// q*_k.pairs.1           x is kActQ8; with dot_shift and rounding of block_arithmetic.h:
//                          y = 0; for blocks A, ascending, with the scale a:
//                            s = sum over g of scale[g] * ((sum of q * x over g + rounding) >> shift), exact int32
//                            t = float(s) * (d * 2^shift), or with minima, where m = sum over g of min[g] * sum of x
//                                over g, exact int32: t = fma(float(s), d * 2^shift, -(float(m) * dmin))
//                            y = fma(t, a, y)
//
// Packed weights are the rows as they are in the file, one after the other.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata {

extern const MatmulFamily* const kReferenceMatmul[kDTypeCount];

namespace reference {

#include "compute/kernels/matmul_declarations.inl"

}  // namespace reference
}  // namespace strata
