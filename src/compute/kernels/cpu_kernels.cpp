#include "compute/kernels/cpu_kernels.h"

namespace strata {
namespace {

// Best first.
constexpr const CpuKernels* kTables[] = {&kReferenceKernels};

}  // namespace

bool is_supported(const CpuKernels& kernels) { return &kernels == &kReferenceKernels; }

const CpuKernels* find_cpu_kernels(std::optional<std::string_view> isa) {
  for (const CpuKernels* table : kTables) {
    if ((!isa.has_value() || table->name == *isa) && is_supported(*table)) return table;
  }
  return nullptr;
}

const char* supported_isa_names() { return "reference"; }

}  // namespace strata
