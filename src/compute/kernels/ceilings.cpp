#include "compute/kernels/ceilings.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "compute/kernels/ceiling_loops.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {
namespace {

constexpr size_t kReadBytes = size_t{1} << 30;  // many times any cache
constexpr int64_t kIterations = 8'000'000;
constexpr int kReadsPerRound = 3;
constexpr double Ceilings::* kFigures[] = {&Ceilings::int8_gops, &Ceilings::bf16_gops, &Ceilings::fp32_gops,
                                           &Ceilings::read_gbs};

// On its own processor from the start: two threads that begin on the same one are moved apart only after milliseconds.
void pin_to_processor(int thread) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  int left = thread % CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || left-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

// 10^9 units of work per second when `threads` threads run `work(thread)` from the same moment on.
template <class Work>
double rate(int threads, Work work) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<double> done(static_cast<size_t>(threads));
  TimePoint start;
  {
    std::vector<std::jthread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        pin_to_processor(t);
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
  return total / to_seconds(steady_clock().now() - start) / 1e9;
}

const CeilingLoops& loops_of(const CpuKernels& kernels) {
  if (&kernels == &kAvx512Kernels) return kAvx512CeilingLoops;
  if (&kernels == &kAvx512VnniKernels) return kAvx512VnniCeilingLoops;
  return &kernels == &kAvx2Kernels ? kAvx2CeilingLoops : kGenericCeilingLoops;
}

double arithmetic_rate(const CeilingLoops& loops, int threads, double Ceilings::* figure) {
  const auto loop = figure == &Ceilings::int8_gops   ? loops.int8
                    : figure == &Ceilings::bf16_gops ? loops.bf16
                                                     : loops.fp32;
  return rate(threads, [&](int) { return loop(kIterations); });
}

}  // namespace

double arithmetic_ceiling(const CpuKernels& kernels, int threads, double Ceilings::* figure) {
  double best = 0;
  for (int round = 0; round < 3; ++round) best = std::max(best, arithmetic_rate(loops_of(kernels), threads, figure));
  return best;
}

class CeilingMeter::Memory {
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

CeilingMeter::CeilingMeter(const CpuKernels& kernels, int max_threads)
    : loops_(loops_of(kernels)), memory_(std::make_unique<Memory>()), rows_(static_cast<size_t>(max_threads)) {
  for (size_t i = 0; i < rows_.size(); ++i) rows_[i].threads = static_cast<int>(i) + 1;
}

CeilingMeter::~CeilingMeter() = default;

double CeilingMeter::measure(int threads, double Ceilings::* figure) const {
  if (figure != &Ceilings::read_gbs) return arithmetic_rate(loops_, threads, figure);
  if (memory_->data() == nullptr) return 0;
  double best = 0;
  std::atomic<uint64_t> checksum{0};
  const size_t share = kReadBytes / static_cast<size_t>(threads) / 256 * 256;
  for (int i = 0; i < kReadsPerRound; ++i) {
    best = std::max(best, rate(threads, [&](int t) {
                      checksum += loops_.read(memory_->data() + share * static_cast<size_t>(t), share);
                      return static_cast<double>(share);
                    }));
  }
  return best;
}

void CeilingMeter::measure_all(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (Ceilings& row : rows_) {
      for (const auto figure : kFigures) row.*figure = std::max(row.*figure, measure(row.threads, figure));
    }
  }
}

Ceilings CeilingMeter::measure_again() {
  Ceilings found;
  for (const auto figure : kFigures) {
    Ceilings& row = *std::max_element(rows_.begin(), rows_.end(), [&](const Ceilings& a, const Ceilings& b) {
      return a.*figure < b.*figure;
    });
    found.*figure = measure(row.threads, figure);
    row.*figure = std::max(row.*figure, found.*figure);
  }
  return found;
}

Ceilings CeilingMeter::best() const {
  Ceilings best;
  for (const Ceilings& row : rows_) best = best_of(best, row);
  return best;
}

Ceilings best_of(const Ceilings& a, const Ceilings& b) {
  Ceilings best;
  best.threads = std::max(a.threads, b.threads);
  for (const auto figure : kFigures) best.*figure = std::max(a.*figure, b.*figure);
  return best;
}

}  // namespace strata
