// Matmul on one thread beside what the core can do: many rows in Gop/s (a product and a sum are two operations) beside
// arithmetic in registers, few rows in GB/s of the weights' bytes in the file beside reading memory in order. Others
// may use the machine, so each round measures both, one right after the other. Arithmetic: the best round of each tile
// of work, summed. Memory: the median of the thread's processor time (the best would be one with the weights in a
// cache).
//
//   matmul_bench [--benchmark_filter=avx512/Q4_K]     "of_peak" is the fraction reached
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "compute/kernels/cpu_kernels.h"
#include "compute/kernels/float_mode.h"
#include "compute/tensor/quant_blocks.h"
#include "peaks.h"

namespace strata {
namespace {

constexpr DType kWeightTypes[] = {
    DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,   DType::kQ5_1,  DType::kQ2_K, DType::kQ3_K, DType::kQ4_K,
    DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4, DType::kBF16, DType::kF16,  DType::kF32};

constexpr int64_t kRowsByMemory = 4;  // up to here reading the weights takes longer than computing

struct Shape {
  int64_t rows, n, k;
};

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double processor_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double median(std::vector<double>& numbers) {
  std::nth_element(numbers.begin(), numbers.begin() + numbers.size() / 2, numbers.end());
  return numbers[numbers.size() / 2];
}

// Memory as weights are held in: in large pages where the system has them.
class Buffer {
 public:
  explicit Buffer(size_t size) : bytes_(static_cast<uint8_t*>(::operator new(size, kAlignment))) {
    if (size >= size_t{1} << 21) madvise(bytes_.get(), size, MADV_HUGEPAGE);
    std::memset(bytes_.get(), 0, size);
  }
  uint8_t* data() const { return bytes_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{size_t{1} << 21};
  struct Delete {
    void operator()(uint8_t* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<uint8_t[], Delete> bytes_;
};

std::vector<float> waves(size_t n) {
  std::vector<float> numbers(n);
  uint32_t state = 1;
  for (float& x : numbers) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1.0f;
  }
  return numbers;
}

// Copies of one packed matrix, together more than the last cache holds, and the activations.
struct Problem {
  Problem(const CpuKernels& kernels, DType type, const Shape& s)
      : family(*matmul_family(kernels, type, s.k)),
        packed_bytes(family.packed_bytes(s.n, s.k)),
        file_bytes(static_cast<double>(s.n) * static_cast<double>(row_bytes(type, s.k))),
        copies(s.rows <= kRowsByMemory ? 1 + (size_t{128} << 20) / packed_bytes : 1),
        packed(copies * packed_bytes),
        x(static_cast<size_t>(s.rows) * row_bytes(family.activation, s.k)),
        y(static_cast<size_t>(s.rows * s.n)) {
    const std::vector<float> numbers = waves(static_cast<size_t>(s.k * 64));
    std::vector<uint8_t> row(row_bytes(type, s.k));
    quantize_row(type, numbers.data(), row.data(), s.k);
    const std::vector<const void*> rows(static_cast<size_t>(s.n), row.data());
    family.pack(packed.data(), rows.data(), s.n, s.k, 0, s.n);
    for (size_t i = 1; i < copies; ++i) std::memcpy(packed.data() + i * packed_bytes, packed.data(), packed_bytes);
    for (int64_t i = 0; i < s.rows; ++i) {
      uint8_t* to = x.data() + static_cast<size_t>(i) * row_bytes(family.activation, s.k);
      const float* from = numbers.data() + i % 64 * s.k;
      if (family.activation == DType::kF32) {
        std::memcpy(to, from, static_cast<size_t>(s.k) * sizeof(float));
      } else {
        kernels.to_activation(family.activation, to, from, 1, s.k);
      }
    }
    args = {x.data(), y.data(), s.n, packed.data(), s.rows, s.n, s.k, nullptr, nullptr};
  }

  uint8_t* next_weights() { return packed.data() + next++ % copies * packed_bytes; }

  double operations() const {
    return 2.0 * static_cast<double>(args.rows) * static_cast<double>(args.n) * static_cast<double>(args.k);
  }

  const MatmulFamily& family;
  size_t packed_bytes;
  double file_bytes;
  size_t copies, next = 0;
  Buffer packed, x;
  std::vector<float> y;
  MatmulArgs args;
};

bench::Peak peak_of(DType activation) {
  if (activation == DType::kActBF16) return bench::Peak::kBF16;
  return activation == DType::kF32 ? bench::Peak::kF32 : bench::Peak::kInt8;
}

// One call per round, weights from memory.
void measure_memory(benchmark::State& state, Problem& problem) {
  std::vector<double> seconds, peak_seconds;
  const size_t bytes = problem.packed_bytes / 256 * 256;
  for (auto _ : state) {
    problem.args.packed = problem.next_weights();
    const double start = processor_seconds();
    problem.family.run(problem.args, 0, problem.family.tiles(problem.args));
    const double middle = processor_seconds();
    bench::read_memory(problem.next_weights(), bytes);
    peak_seconds.push_back(processor_seconds() - middle);
    seconds.push_back(middle - start);
  }
  const double peak = static_cast<double>(bytes) / median(peak_seconds), speed = problem.file_bytes / median(seconds);
  state.counters["GB/s"] = speed * 1e-9;
  state.counters["peak"] = peak * 1e-9;
  state.counters["of_peak"] = speed / peak;
}

void measure_arithmetic(benchmark::State& state, Problem& problem) {
  const int64_t tiles = problem.family.tiles(problem.args);
  std::vector<double> best(static_cast<size_t>(tiles), 1e9);
  double peak = 0;
  for (auto _ : state) {
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const double start = wall_seconds();
      problem.family.run(problem.args, tile, tile + 1);
      best[static_cast<size_t>(tile)] = std::min(best[static_cast<size_t>(tile)], wall_seconds() - start);
    }
    if (!is_supported(kAvx512Kernels)) continue;
    const double start = wall_seconds();
    const double done = bench::run_arithmetic(peak_of(problem.family.activation));
    peak = std::max(peak, done / (wall_seconds() - start));
  }
  double seconds = 0;
  for (double tile : best) seconds += tile;
  const double speed = problem.operations() / seconds;
  state.counters["Gop/s"] = speed * 1e-9;
  state.counters["peak"] = peak * 1e-9;
  state.counters["of_peak"] = speed / peak;
  state.counters["tile_us"] = seconds / static_cast<double>(tiles) * 1e6;
}

void measure(benchmark::State& state, const CpuKernels& kernels, DType type, Shape s) {
  set_compute_float_mode();
  Problem problem(kernels, type, s);
  if (s.rows <= kRowsByMemory) {
    measure_memory(state, problem);
  } else {
    measure_arithmetic(state, problem);
  }
}

void register_all() {
  constexpr Shape kShapes[] = {{512, 2048, 2048}, {512, 5632, 2048}, {512, 2048, 5632}, {1, 2048, 2048},
                               {1, 5632, 2048},   {1, 2048, 5632},   {4, 5632, 2048},   {16, 5632, 2048}};
  for (const CpuKernels* kernels : {&kAvx512Kernels, &kAvx2Kernels, &kGenericKernels}) {
    if (!is_supported(*kernels)) continue;
    for (DType type : kWeightTypes) {
      for (const Shape& s : kShapes) {
        const std::string label = std::string(kernels->name) + "/" + std::string(name(type)) + "/" +
                                  std::to_string(s.rows) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k);
        benchmark::RegisterBenchmark(label.c_str(),
                                     [kernels, type, s](benchmark::State& state) { measure(state, *kernels, type, s); })
            ->Unit(benchmark::kMillisecond)
            ->MinTime(0.4);
      }
    }
  }
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  strata::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
