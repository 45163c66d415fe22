#include "compute/kernels/cpu/avx512/matmul.h"

#include "compute/kernels/cpu/avx512/families.h"

namespace strata {

constexpr avx512::FamilyTable kAvx512Families = avx512::families_with(&avx512::kMatmulBF16);

}  // namespace strata
