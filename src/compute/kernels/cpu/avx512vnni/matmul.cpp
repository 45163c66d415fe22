#include "compute/kernels/cpu/avx512vnni/matmul.h"

#include "compute/kernels/cpu/avx512/families.h"

namespace strata {

constexpr avx512::FamilyTable kAvx512VnniFamilies = avx512::families_with(&avx512vnni::kMatmulBF16);

}  // namespace strata
