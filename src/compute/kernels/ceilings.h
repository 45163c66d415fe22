// What this machine can do at all with one instruction set: the arithmetic of its vector units and the bandwidth of its
// memory, measured by loops that do nothing else. Every speed the benches print stands beside a fraction of these.
//
// Method: independent chains in registers for arithmetic (two operations per multiply-add: int8 4 per lane, bf16 2,
// fp32 1; AVX2 multiplies int8 and adds in pairs by one instruction and adds the pairs by another), and reading 512 MiB
// for memory; all threads start together, the best of several rounds counts, over 1..n threads.
#pragma once

#include <vector>

namespace strata {

struct CpuKernels;

struct Ceilings {
  int threads = 0;
  double int8_gops = 0;  // 0: the processor has no such instruction
  double bf16_gops = 0;
  double fp32_gops = 0;
  double read_gbs = 0;
};

// One row per thread count 1..max_threads; takes about a second per row and `rounds` of 3.
std::vector<Ceilings> measure_ceilings(const CpuKernels& kernels, int max_threads, int rounds = 3);
// The best of each figure over the rows.
Ceilings best_of(const std::vector<Ceilings>& rows);

}  // namespace strata
