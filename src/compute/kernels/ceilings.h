// What this machine can do at all with one instruction set: the arithmetic of its vector units and the bandwidth of its
// memory, measured by loops that do nothing else. Every speed the benches print stands beside a fraction of these.
//
// Method: independent chains in registers for arithmetic (two operations per multiply-add: int8 4 per lane, bf16 2,
// fp32 1; AVX2 multiplies int8 and adds in pairs by one instruction and adds the pairs by another), and reading 1 GiB
// for memory; all threads start together, the best of several rounds counts, over 1..n threads.
#pragma once

#include <memory>
#include <vector>

namespace strata {

struct CpuKernels;
struct CeilingLoops;

struct Ceilings {
  int threads = 0;
  double int8_gops = 0;  // 0: the processor has no such instruction
  double bf16_gops = 0;
  double fp32_gops = 0;
  double read_gbs = 0;
};
// One arithmetic figure alone, for programs that only want something to compare themselves with: some ten milliseconds.
double arithmetic_ceiling(const CpuKernels& kernels, int threads, double Ceilings::* figure);
// The better of each figure.
Ceilings best_of(const Ceilings& a, const Ceilings& b);

// Measures again and again between the runs of a bench: what a machine can do drifts with its other tenants.
class CeilingMeter {
 public:
  CeilingMeter(const CpuKernels& kernels, int max_threads);
  ~CeilingMeter();
  CeilingMeter(const CeilingMeter&) = delete;
  CeilingMeter& operator=(const CeilingMeter&) = delete;

  // Every figure for 1..max_threads threads; about a quarter of a second per thread count and round.
  void measure_all(int rounds = 3);
  // One more round of each figure with the thread count that has been best for it; gives what this round found.
  Ceilings measure_again();

  // The best so far, a row per thread count, and of all rows.
  const std::vector<Ceilings>& rows() const { return rows_; }
  Ceilings best() const;

 private:
  class Memory;
  double measure(int threads, double Ceilings::* figure) const;

  const CeilingLoops& loops_;
  std::unique_ptr<Memory> memory_;
  std::vector<Ceilings> rows_;
};

}  // namespace strata
