#include "compute/kernels/ceilings.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "compute/kernels/ceiling_loops.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {
namespace {

constexpr size_t kReadBytes = size_t{512} << 20;
constexpr int64_t kIterations = 8'000'000;

// Work per second when `threads` threads run `work(thread)` from the same moment on; best of `rounds`.
template <class Work>
double rate(int threads, int rounds, Work work) {
  double best = 0;
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<double> done(static_cast<size_t>(threads));
    TimePoint start;
    {
      std::vector<std::jthread> workers;
      for (int t = 0; t < threads; ++t) {
        workers.emplace_back([&, t] {
          ++ready;
          while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
          done[static_cast<size_t>(t)] = work(t);
        });
      }
      while (ready < threads) std::this_thread::yield();
      start = steady_clock().now();
      go.store(true, std::memory_order_release);
    }
    double total = 0;
    for (const double d : done) total += d;
    best = std::max(best, total / to_seconds(steady_clock().now() - start));
  }
  return best / 1e9;
}

const CeilingLoops& loops_of(const CpuKernels& kernels) {
  if (&kernels == &kAvx512Kernels) return kAvx512CeilingLoops;
  return &kernels == &kAvx2Kernels ? kAvx2CeilingLoops : kGenericCeilingLoops;
}

class Memory {
 public:
  Memory() : data_(::mmap(nullptr, kReadBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (data_ == MAP_FAILED) {
      data_ = nullptr;
      return;
    }
    ::madvise(data_, kReadBytes, MADV_HUGEPAGE);
    std::memset(data_, 1, kReadBytes);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (data_ != nullptr) ::munmap(data_, kReadBytes);
  }
  const char* data() const { return static_cast<const char*>(data_); }

 private:
  void* data_;
};

}  // namespace

std::vector<Ceilings> measure_ceilings(const CpuKernels& kernels, int max_threads, int rounds) {
  const CeilingLoops& loops = loops_of(kernels);
  const Memory memory;
  std::atomic<uint64_t> checksum{0};
  std::vector<Ceilings> rows;
  for (int threads = 1; threads <= max_threads; ++threads) {
    Ceilings row;
    row.threads = threads;
    row.int8_gops = rate(threads, rounds, [&](int) { return loops.int8(kIterations); });
    row.bf16_gops = rate(threads, rounds, [&](int) { return loops.bf16(kIterations); });
    row.fp32_gops = rate(threads, rounds, [&](int) { return loops.fp32(kIterations); });
    if (memory.data() != nullptr) {
      const size_t share = kReadBytes / static_cast<size_t>(threads) / 256 * 256;
      row.read_gbs = rate(threads, rounds * 3, [&](int t) {
        checksum += loops.read(memory.data() + share * static_cast<size_t>(t), share);
        return static_cast<double>(share);
      });
    }
    rows.push_back(row);
  }
  return rows;
}

Ceilings best_of(const std::vector<Ceilings>& rows) {
  Ceilings best;
  for (const Ceilings& row : rows) {
    best.threads = std::max(best.threads, row.threads);
    best.int8_gops = std::max(best.int8_gops, row.int8_gops);
    best.bf16_gops = std::max(best.bf16_gops, row.bf16_gops);
    best.fp32_gops = std::max(best.fp32_gops, row.fp32_gops);
    best.read_gbs = std::max(best.read_gbs, row.read_gbs);
  }
  return best;
}

}  // namespace strata
