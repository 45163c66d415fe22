#include "compute/kernels/cpu_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace strata {
namespace {

// Best first.
constexpr const CpuKernels* kTables[] = {&kAvx512Kernels, &kAvx512VnniKernels, &kAvx2Kernels, &kGenericKernels,
                                         &kReferenceKernels};

bool has_avx2() {
#if defined(__x86_64__)
  // Clang 16 does not know F16C by name.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool has_f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c;
#else
  return false;
#endif
}

bool has_avx512vnni() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__x86_64__)
  return has_avx512vnni() && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace

const MatmulFamily* matmul_family(const CpuKernels& kernels, DType weight, int64_t k) {
  const MatmulFamily* family = kernels.matmul[static_cast<int>(weight)];
  if (family == nullptr) family = kGenericKernels.matmul[static_cast<int>(weight)];
  if (family == nullptr || k <= 0 || k % traits(weight).block_elements != 0) return nullptr;
  return k % traits(family->activation).block_elements == 0 ? family : family->other_k;
}

bool is_supported(const CpuKernels& kernels) {
  if (&kernels == &kAvx512Kernels) return has_avx512();
  if (&kernels == &kAvx512VnniKernels) return has_avx512vnni();
  return &kernels != &kAvx2Kernels || has_avx2();
}

const CpuKernels* find_cpu_kernels(std::optional<std::string_view> isa) {
  for (const CpuKernels* table : kTables) {
    if ((!isa.has_value() || table->name == *isa) && is_supported(*table)) return table;
  }
  return nullptr;
}

std::string supported_isa_names() {
  std::string names;
  for (const CpuKernels* table : kTables) {
    if (is_supported(*table)) names += (names.empty() ? "" : ", ") + std::string(table->name);
  }
  return names;
}

namespace {

// Bytes of a row of a cache, whose numbers come in groups of `group`.
size_t cached_row_bytes(DType type, int dim, int group) {
  return row_bytes(type, (dim + group - 1) / group * group);
}

}  // namespace

size_t CacheShape::key_bytes() const {
  return kBlockTokens * cached_row_bytes(type, k_dim, is_quantized(type) ? kCacheGroup : type == DType::kBF16 ? 2 : 1);
}
size_t CacheShape::value_bytes() const {
  return value_is_key_prefix ? 0 : kBlockTokens * cached_row_bytes(type, v_dim, is_quantized(type) ? kCacheGroup : 1);
}
size_t CacheShape::block_bytes() const { return static_cast<size_t>(n_kv_heads) * (key_bytes() + value_bytes()); }

bool is_cache_type(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kQ8_0 ||
         type == DType::kQ4_0;
}

}  // namespace strata
