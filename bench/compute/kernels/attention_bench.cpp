// Attention of one layer on one thread: 32 heads, 4 kv heads, head_dim 64 (TinyLlama 1.1B), and MLA as DeepSeek-V3's
// with 16 of its heads. GFLOP/s count 2 * (k_dim + v_dim) per visible (query head, position); GB/s count each cached
// byte once per sequence and step.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "compute/kernels/cpu_kernels.h"
#include "compute/kernels/float_mode.h"

namespace strata {
namespace {

struct Layer {
  CacheShape shape;
  int n_heads;
};

// Zeroed, in huge pages where there are some, as the cache of a runner.
class HugeBuffer {
 public:
  explicit HugeBuffer(size_t bytes)
      : bytes_(bytes), data_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (data_ == MAP_FAILED) std::abort();
    ::madvise(data_, bytes, MADV_HUGEPAGE);
  }
  ~HugeBuffer() { ::munmap(data_, bytes_); }
  HugeBuffer(const HugeBuffer&) = delete;
  HugeBuffer& operator=(const HugeBuffer&) = delete;
  void* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  size_t bytes_;
  void* data_;
};

// `n_sequences` sequences with `context` tokens each, of which the last `queries` ask.
void attend(benchmark::State& state, const CpuKernels& kernels, const Layer& layer, int n_sequences, int context,
            int queries) {
  set_compute_float_mode();
  const CacheShape& shape = layer.shape;
  const int blocks = (context + kBlockTokens - 1) / kBlockTokens;
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const auto random = [&](size_t n) {
    std::vector<float> numbers(n);
    for (float& x : numbers) x = uniform(generator);
    return numbers;
  };

  const HugeBuffer cache(shape.block_bytes() * blocks * n_sequences);
  std::vector<int64_t> slots(static_cast<size_t>(n_sequences) * blocks * kBlockTokens);
  std::iota(slots.begin(), slots.end(), 0);
  const std::vector<float> k = random(slots.size() * shape.n_kv_heads * shape.k_dim);
  const std::vector<float> v = random(slots.size() * shape.n_kv_heads * shape.v_dim);
  kernels.cache_write({shape, cache.data(), k.data(), v.data(), slots.data()}, 0, slots.size());

  std::vector<int32_t> query_begin = {0}, context_len(n_sequences, context), tables(n_sequences * blocks);
  for (int s = 0; s < n_sequences; ++s) query_begin.push_back(query_begin.back() + queries);
  std::iota(tables.begin(), tables.end(), 0);
  std::shuffle(tables.begin(), tables.end(), generator);
  const std::vector<float> q = random(static_cast<size_t>(query_begin.back()) * layer.n_heads * shape.k_dim);
  std::vector<float> out(static_cast<size_t>(query_begin.back()) * layer.n_heads * shape.v_dim);
  const AttentionArgs args{.shape = shape, .cache = cache.data(), .q = q.data(), .out = out.data(),
                           .n_heads = layer.n_heads, .scale = 0.125f, .n_sequences = n_sequences,
                           .query_begin = query_begin.data(), .context_len = context_len.data(),
                           .block_table = tables.data(), .block_table_stride = blocks};
  std::vector<float> workspace(kernels.attention_workspace(args) / sizeof(float) + 16);
  void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(workspace.data()) + 63) / 64 * 64);

  for (auto _ : state) {
    kernels.attention(args, 0, kernels.attention_items(args), aligned);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  double visible = 0;
  for (int i = 0; i < queries; ++i) visible += context - queries + i + 1;
  const double flops = 2.0 * (shape.k_dim + shape.v_dim) * layer.n_heads * visible * n_sequences;
  using benchmark::Counter;
  const double runs = static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = Counter(flops * runs * 1e-9, Counter::kIsRate);
  state.counters["GB/s"] = Counter(static_cast<double>(cache.size()) * runs * 1e-9, Counter::kIsRate);
}

void register_all() {
  const std::pair<const char*, Layer> layers[] = {
      {"gqa_f16", {{DType::kF16, 4, 64, 64, false}, 32}},
      {"gqa_f32", {{DType::kF32, 4, 64, 64, false}, 32}},
      {"gqa_bf16", {{DType::kBF16, 4, 64, 64, false}, 32}},
      {"gqa_q8", {{DType::kQ8_0, 4, 64, 64, false}, 32}},
      {"gqa_q4", {{DType::kQ4_0, 4, 64, 64, false}, 32}},
      {"mha_f16", {{DType::kF16, 32, 64, 64, false}, 32}},
      {"mha_q8", {{DType::kQ8_0, 32, 64, 64, false}, 32}},
      {"mla_f16", {{DType::kF16, 1, 576, 512, true}, 16}},
  };
  for (const char* isa : {"avx512", "avx2", "generic"}) {
    const CpuKernels* kernels = find_cpu_kernels(isa);
    if (kernels == nullptr) continue;
    for (const auto& [layer_name, layer] : layers) {
      const std::string prefix = std::string(isa) + "/" + layer_name;
      const auto add = [&, layer = layer](const std::string& name, int sequences, int context, int queries) {
        benchmark::RegisterBenchmark((prefix + name).c_str(), [=](benchmark::State& state) {
          attend(state, *kernels, layer, sequences, context, queries);
        })->Unit(benchmark::kMicrosecond);
      };
      add("/prefill512", 1, 512, 512);
      add("/prefill2048", 1, 2048, 2048);
      add("/decode2048", 1, 2048, 1);
      add("/decode2048x16", 16, 2048, 1);
      add("/decode192x64", 64, 192, 1);
    }
  }
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  strata::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
