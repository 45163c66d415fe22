// In what precision a training run multiplies. Parameters, what the optimizer remembers and the sums are always fp32.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace strata {

enum class Precision : uint8_t { kFp32, kBf16 };

// "fp32", "bf16"; kInvalidArgument lists them.
inline Result<Precision> precision_from_name(std::string_view name) {
  if (name == "fp32") return Precision::kFp32;
  if (name == "bf16") return Precision::kBf16;
  if (name == "fp16")
    return invalid_argument("no instruction set of this program multiplies fp16 numbers (known: fp32, bf16)");
  return invalid_argument("expected fp32 or bf16, got \"" + std::string(name) + "\"");
}

}  // namespace strata
