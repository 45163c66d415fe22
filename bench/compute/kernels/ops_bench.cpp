// The ops around the matmuls on one thread, in GB/s of what they read and write; head_matmul in GFLOP/s.
#include <benchmark/benchmark.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "compute/kernels/cpu_kernels.h"
#include "compute/kernels/float_mode.h"

namespace strata {
namespace {

void measure(const std::string& name, const char* unit, double per_run, const std::function<void()>& op) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    set_compute_float_mode();
    for (auto _ : state) {
      op();
      benchmark::ClobberMemory();
    }
    const double runs = static_cast<double>(state.iterations());
    state.counters[unit] = benchmark::Counter(per_run * runs * 1e-9, benchmark::Counter::kIsRate);
  })->Unit(benchmark::kMicrosecond);
}

std::vector<float> ramp(size_t n) {
  std::vector<float> numbers(n);
  for (size_t i = 0; i < n; ++i) numbers[i] = static_cast<float>(i % 97) * 0.05f - 2.4f;
  return numbers;
}

void register_table(const CpuKernels& k) {
  constexpr int64_t kRows = 64, kDim = 2048, kFeedForward = 5632, kVocab = 32000;
  static std::vector<float> x = ramp(kRows * kFeedForward), y = ramp(kRows * 16 * 512), w = ramp(kFeedForward);
  static std::vector<float> logits = ramp(4 * kVocab), heads = ramp(16 * 512 * 128), inv_freq = ramp(32);
  static std::vector<int32_t> positions(kRows, 1234);
  const std::string isa(k.name);
  measure(isa + "/rms_norm/64x2048", "GB/s", 8.0 * kRows * kDim,
          [&k] { k.rms_norm(y.data(), x.data(), w.data(), kRows, kDim, 1e-5f, 0); });
  measure(isa + "/gated_silu/64x5632", "GB/s", 12.0 * kRows * kFeedForward,
          [&k] { k.gated(Activation::kSilu, y.data(), x.data(), x.data(), kRows * kFeedForward); });
  measure(isa + "/gated_gelu/64x5632", "GB/s", 12.0 * kRows * kFeedForward,
          [&k] { k.gated(Activation::kGelu, y.data(), x.data(), x.data(), kRows * kFeedForward); });
  measure(isa + "/softmax/4x32000", "GB/s", 8.0 * 4 * kVocab,
          [&k] { k.softmax(y.data(), logits.data(), 4, kVocab); });
  measure(isa + "/rope/64x36x64", "GB/s", 8.0 * kRows * 36 * 64, [&k] {
    RopeArgs args;
    args.x = y.data();
    args.row_stride = 36 * 64;
    args.positions = positions.data();
    args.n_heads = 36;
    args.head_dim = args.rotary_dim = 64;
    args.inv_freq = inv_freq.data();
    k.rope(args, 0, kRows);
  });
  for (int64_t rows : {1, 64}) {
    measure(isa + "/head_matmul/" + std::to_string(rows) + "x16x512x128", "GFLOP/s", 2.0 * rows * 16 * 512 * 128,
            [&k, rows] { k.head_matmul(y.data(), x.data(), heads.data(), 16, 512, 128, 0, rows); });
  }
  // Training: 2 segments of 256 tokens, 8 heads on 2 kv heads, head_dim 64.
  constexpr int64_t kTokens = 512;
  static const int32_t segments[] = {0, 256, 512};
  static std::vector<float> q = ramp(kTokens * 512), kv = ramp(kTokens * 128), out = q, dq = q, dk = kv, dv = kv;
  static std::vector<float> log_sum_exp(kTokens * 8);
  static const SegmentAttentionGradArgs grad = {
      {q.data(), kv.data(), kv.data(), out.data(), log_sum_exp.data(), 8, 2, 64, 64, 0.125f, 0, 0, 2, segments},
      q.data(), dq.data(), dk.data(), dv.data()};
  const double pairs = 2 * 256 * 257 / 2 * 8.0;
  static std::vector<float> workspace(1 << 20);
  auto* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(workspace.data()) + 63) / 64 * 64);
  measure(isa + "/segment_attention/2x256", "GFLOP/s", 4 * 64 * pairs,
          [&k, aligned] { k.segment_attention(grad.forward, 0, k.segment_attention_items(grad.forward), aligned); });
  measure(isa + "/segment_attention_grad/2x256", "GFLOP/s", 10 * 64 * pairs,
          [&k, aligned] {
            k.segment_attention_grad(grad, 0, k.segment_attention_grad_items(grad.forward), aligned);
          });
  // The gradients of a matmul [2048, 512] x [1024, 512], by fp32 numbers and by bfloat16.
  constexpr int64_t kN = 1024, kK = 512, kBatch = 2048;
  constexpr double kProducts = 2.0 * kBatch * kN * kK;
  static std::vector<float> dy = ramp(kBatch * kN), inputs = ramp(kBatch * kK), matrix = ramp(kN * kK);
  static std::vector<float> dw(kN * kK), dx(kBatch * kK), squares(kBatch * kK, 0.1f);
  static std::vector<uint16_t> dy16(kBatch * kN), inputs16(kBatch * kK), matrix16(kN * kK);
  k.to_activation(DType::kActBF16, dy16.data(), dy.data(), kBatch, kN);
  k.to_activation(DType::kActBF16, inputs16.data(), inputs.data(), kBatch, kK);
  k.to_activation(DType::kActBF16, matrix16.data(), matrix.data(), kN, kK);
  measure(isa + "/matmul_dw/f32", "GFLOP/s", kProducts,
          [&k] { k.matmul_dw(dw.data(), dy.data(), inputs.data(), kBatch, kN, kK, 0, kN, 0, kK); });
  measure(isa + "/matmul_dx/f32", "GFLOP/s", kProducts,
          [&k] { k.matmul_dx(dx.data(), dy.data(), nullptr, matrix.data(), kN, kK, 0, kBatch, 0, kK); });
  measure(isa + "/matmul_dw/bf16", "GFLOP/s", kProducts,
          [&k] { k.matmul_dw_bfloat(dw.data(), dy16.data(), inputs16.data(), kBatch, kN, kK, 0, kN, 0, kK); });
  measure(isa + "/matmul_dx/bf16", "GFLOP/s", kProducts,
          [&k] { k.matmul_dx_bfloat(dx.data(), dy16.data(), matrix16.data(), kN, kK, 0, kBatch, 0, kK); });
  // A step of AdamW, in GB/s of what it reads and writes.
  measure(isa + "/adamw/1M", "GB/s", 28.0 * kBatch * kK, [&k] {
    k.adamw({.values = inputs.data(), .gradient = dx.data(), .first = dy.data(), .second = squares.data(),
             .n = kBatch * kK, .scale = 1, .keep = 0.9999f, .rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.95f,
             .epsilon = 1e-8f});
  });
  // An encoder: 32 texts of 16 tokens, and 1 of 512; 12 heads of 32.
  static std::vector<float> wide = ramp(kTokens * 384), attended = wide, lse(kTokens * 12);
  static std::vector<int32_t> texts(33), one = {0, kTokens};
  for (int s = 0; s <= 32; ++s) texts[static_cast<size_t>(s)] = 16 * s;
  for (const std::vector<int32_t>* begins : {&texts, &one}) {
    const int64_t n = static_cast<int64_t>(begins->size()) - 1, length = kTokens / n;
    measure(isa + "/encoder_attention/" + std::to_string(n) + "x" + std::to_string(length), "GFLOP/s",
            4.0 * 32 * 12 * kTokens * length, [&k, aligned, begins, n] {
              const SegmentAttentionArgs args = {.q = wide.data(), .k = wide.data(), .v = wide.data(),
                                                 .out = attended.data(), .log_sum_exp = lse.data(), .n_heads = 12,
                                                 .n_kv_heads = 12, .k_dim = 32, .v_dim = 32, .scale = 0.18f,
                                                 .n_segments = static_cast<int>(n), .segment_begin = begins->data(),
                                                 .causal = false};
              k.segment_attention(args, 0, k.segment_attention_items(args), aligned);
            });
  }
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  for (const char* isa : {"avx512", "avx2", "generic"}) {
    if (const strata::CpuKernels* table = strata::find_cpu_kernels(isa)) strata::register_table(*table);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
