#include "compute/kernels/ceiling_loops.h"

#include <cstring>

namespace strata {
namespace {

constexpr int kLanes = 128;  // enough independent chains for any width of vector unit

double no_instruction(int64_t) { return 0; }

double fp32(int64_t iterations) {
  float sum[kLanes] = {};
  float factor = 1.0F;
  for (int64_t i = 0; i < iterations; ++i) {
    asm volatile("" : "+x"(factor));  // a value the compiler does not know
    for (float& s : sum) s = s * factor + factor;
  }
  volatile float sink = 0;
  for (const float s : sum) sink = sink + s;
  return static_cast<double>(iterations) * kLanes * 2;
}

uint64_t read(const void* memory, size_t bytes) {
  const auto* words = static_cast<const unsigned char*>(memory);
  uint64_t sums[8] = {};
  for (size_t i = 0; i + sizeof sums <= bytes; i += sizeof sums) {
    uint64_t line[8];
    std::memcpy(line, words + i, sizeof line);
    for (int j = 0; j < 8; ++j) sums[j] ^= line[j];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum ^= s;
  return sum;
}

}  // namespace

const CeilingLoops kGenericCeilingLoops = {no_instruction, no_instruction, fp32, read};

}  // namespace strata
