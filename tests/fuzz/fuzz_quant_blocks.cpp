// Rows of any bytes in every block format: each is a row of numbers, packed and unpacked the same ones, and multiplying
// them is defined whatever the scales are.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "compute/kernels/cpu_kernels.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {
namespace {

constexpr int kFirst = static_cast<int>(DType::kQ8_0), kTypes = static_cast<int>(DType::kFP8) - kFirst + 1;

class Aligned {
 public:
  explicit Aligned(size_t size) : bytes_(static_cast<uint8_t*>(::operator new(size, std::align_val_t{64}))) {}
  uint8_t* get() { return bytes_.get(); }

 private:
  struct Delete {
    void operator()(uint8_t* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<uint8_t[], Delete> bytes_;
};

void check_table(const CpuKernels& kernels, DType type, const uint8_t* row, const std::vector<float>& numbers) {
  const auto k = static_cast<int64_t>(numbers.size());
  const MatmulFamily& family = *matmul_family(kernels, type, k);
  Aligned packed(family.packed_bytes(1, k)), x(row_bytes(family.activation, k));
  const void* rows[] = {row};
  family.pack(packed.get(), rows, 1, k, 0, 1);
  std::vector<float> unpacked(numbers.size());
  family.unpack(unpacked.data(), packed.get(), 1, k, 0, 1, 0, k);
  if (std::memcmp(unpacked.data(), numbers.data(), numbers.size() * sizeof(float)) != 0) __builtin_trap();
  const std::vector<float> ones(numbers.size(), 1.0f);
  kernels.to_activation(family.activation, x.get(), ones.data(), 1, k);
  float y = 0;
  const MatmulArgs args = {x.get(), &y, 1, packed.get(), 1, 1, k, nullptr, nullptr};
  family.run(args, 0, family.tiles(args));
  volatile float keep = y;
  (void)keep;
}

}  // namespace
}  // namespace strata

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  if (size < 2) return 0;
  const auto type = static_cast<DType>(kFirst + data[0] % kTypes);
  const DTypeTraits& form = traits(type);
  const size_t blocks = std::min<size_t>((size - 1) / static_cast<size_t>(form.block_bytes), 64);
  if (blocks == 0) return 0;
  std::vector<float> numbers(blocks * static_cast<size_t>(form.block_elements));
  dequantize_row(type, data + 1, numbers.data(), static_cast<int64_t>(numbers.size()));
  for (const CpuKernels* kernels : {&kReferenceKernels, &kGenericKernels, find_cpu_kernels()})
    check_table(*kernels, type, data + 1, numbers);
  return 0;
}
