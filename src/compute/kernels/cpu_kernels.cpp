#include "compute/kernels/cpu_kernels.h"

namespace strata {
namespace {

// Best first.
constexpr const CpuKernels* kTables[] = {&kAvx512Kernels, &kGenericKernels, &kReferenceKernels};

bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace

const MatmulFamily* matmul_family(const CpuKernels& kernels, DType weight, int64_t k) {
  const MatmulFamily* family = kernels.matmul[static_cast<int>(weight)];
  if (family == nullptr || k <= 0 || k % traits(weight).block_elements != 0) return nullptr;
  return k % traits(family->activation).block_elements == 0 ? family : family->other_k;
}

bool is_supported(const CpuKernels& kernels) { return &kernels != &kAvx512Kernels || has_avx512(); }

const CpuKernels* find_cpu_kernels(std::optional<std::string_view> isa) {
  for (const CpuKernels* table : kTables) {
    if ((!isa.has_value() || table->name == *isa) && is_supported(*table)) return table;
  }
  return nullptr;
}

const char* supported_isa_names() {
  return has_avx512() ? "avx512, generic, reference" : "generic, reference";
}

}  // namespace strata
