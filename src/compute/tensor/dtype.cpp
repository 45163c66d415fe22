#include "compute/tensor/dtype.h"

#include "base/check.h"

namespace strata {
namespace {

constexpr DTypeTraits kTraits[kDTypeCount] = {
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"BF16", 1, 2},
    {"I8", 1, 1},
    {"I32", 1, 4},
    {"I64", 1, 8},
    {"Q8_0", 32, 34},
    {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},
    {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},
    {"Q2_K", 256, 84},
    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
    {"IQ4_NL", 32, 18},
    {"IQ4_XS", 256, 136},
    {"MXFP4", 32, 17},
    {"INT4", 32, 21},
    {"INT8", 32, 36},
    {"FP8", 32, 36},
    // One byte per value, one fp32 scale per 256 (32) values, one int16 sum per 16 values.
    {"ActQ8", 256, 256 + 4 + 32 + 64 + 16 + 32},
    {"ActQ8x32", 32, 32 + 4 + 4},
    {"ActBF16", 1, 2},
};

}  // namespace

const DTypeTraits& traits(DType type) { return kTraits[static_cast<int>(type)]; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i) {
    if (kTraits[i].name == name && !is_activation(static_cast<DType>(i))) return static_cast<DType>(i);
  }
  return std::nullopt;
}

size_t row_bytes(DType type, int64_t k) {
  const DTypeTraits& t = traits(type);
  CHECK_EQ(k % t.block_elements, 0);
  return static_cast<size_t>(k / t.block_elements) * t.block_bytes;
}

}  // namespace strata
