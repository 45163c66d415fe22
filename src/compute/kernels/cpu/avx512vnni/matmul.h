// Matmul in AVX-512 without BF16: what differs from kernels/cpu/avx512/matmul.h.
#pragma once

#include "compute/kernels/cpu/avx512/matmul.h"

namespace strata {

extern const avx512::FamilyTable kAvx512VnniFamilies;

namespace avx512vnni {

extern const MatmulFamily kMatmulBF16;

#include "compute/kernels/matmul_declarations.inl"

}  // namespace avx512vnni
}  // namespace strata
