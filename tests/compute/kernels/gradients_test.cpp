#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

class GradientsTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(GradientsTest);

TEST_P(GradientsTest, OfLayerNormAreNearTheReferenceWhateverTheSplit) {
  for (const int64_t dim : {7, 16, 77, 300}) {
    SCOPED_TRACE(dim);
    const int64_t rows = 5;
    std::vector<float> x = random_floats(1, rows * dim);
    for (float& v : x) v += 3;
    const std::vector<float> dy = random_floats(2, rows * dim), w = random_floats(3, dim);
    std::vector<float> dx(rows * dim), alone(rows * dim), expected(rows * dim);
    kernels().layer_norm_dx(dx.data(), dy.data(), x.data(), w.data(), rows, dim, 1e-3f, 1.0f);
    kReferenceKernels.layer_norm_dx(expected.data(), dy.data(), x.data(), w.data(), rows, dim, 1e-3f, 1.0f);
    expect_close(dx, expected, 2e-5f);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = i * dim;
      kernels().layer_norm_dx(alone.data() + at, dy.data() + at, x.data() + at, w.data(), 1, dim, 1e-3f, 1.0f);
    }
    expect_same_bits(alone, dx);

    std::vector<float> dw(dim, 0.1f), dw_expected = dw, dw_parts = dw;
    kernels().layer_norm_dw(dw.data(), dy.data(), x.data(), rows, dim, dim, 1e-3f, 0, dim);
    kReferenceKernels.layer_norm_dw(dw_expected.data(), dy.data(), x.data(), rows, dim, dim, 1e-3f, 0, dim);
    expect_close(dw, dw_expected, 1e-5f);
    kernels().layer_norm_dw(dw_parts.data(), dy.data(), x.data(), rows, dim, dim, 1e-3f, dim / 2, dim);
    kernels().layer_norm_dw(dw_parts.data(), dy.data(), x.data(), rows, dim, dim, 1e-3f, 0, dim / 2);
    expect_same_bits(dw_parts, dw);
  }
}

TEST_P(GradientsTest, OfSoftmaxAndClampAreNearTheReference) {
  const int64_t rows = 3, dim = 37;
  const std::vector<float> x = random_floats(4, rows * dim, 2.0f), dy = random_floats(5, rows * dim);
  std::vector<float> y(rows * dim), dx(rows * dim), expected(rows * dim);
  kReferenceKernels.softmax(y.data(), x.data(), rows, dim);
  kernels().softmax_grad(dx.data(), dy.data(), y.data(), rows, dim);
  kReferenceKernels.softmax_grad(expected.data(), dy.data(), y.data(), rows, dim);
  expect_close(dx, expected, 1e-5f);
  kernels().clamp_grad(dx.data(), dy.data(), x.data(), 1.5f, rows * dim);
  kReferenceKernels.clamp_grad(expected.data(), dy.data(), x.data(), 1.5f, rows * dim);
  expect_same_bits(dx, expected);
}

TEST_P(GradientsTest, OfHeadMatmulAreNearTheReferenceWhateverTheSplit) {
  const int64_t rows = 6, n = 5, k = 19;
  const int heads = 3;
  const std::vector<float> x = random_floats(6, rows * heads * k), dy = random_floats(7, rows * heads * n);
  const std::vector<float> w = random_floats(8, heads * n * k);
  std::vector<float> dx(rows * heads * k), expected(rows * heads * k), parts(rows * heads * k);
  kernels().head_matmul_dx(dx.data(), dy.data(), w.data(), heads, n, k, 0, rows);
  kReferenceKernels.head_matmul_dx(expected.data(), dy.data(), w.data(), heads, n, k, 0, rows);
  expect_close(dx, expected, 1e-6f);
  for (int64_t i = rows; i-- > 0;) kernels().head_matmul_dx(parts.data(), dy.data(), w.data(), heads, n, k, i, i + 1);
  expect_same_bits(parts, dx);

  std::vector<float> dw(heads * n * k), dw_expected(heads * n * k), dw_parts(heads * n * k);
  kernels().head_matmul_dw(dw.data(), dy.data(), x.data(), rows, heads, n, k, 0, heads * n);
  kReferenceKernels.head_matmul_dw(dw_expected.data(), dy.data(), x.data(), rows, heads, n, k, 0, heads * n);
  expect_close(dw, dw_expected, 1e-6f);
  for (int64_t i = heads * n; i-- > 0;)
    kernels().head_matmul_dw(dw_parts.data(), dy.data(), x.data(), rows, heads, n, k, i, i + 1);
  expect_same_bits(dw_parts, dw);
}

TEST_P(GradientsTest, OfSinksAreNearTheReference) {
  const int heads = 3, v_dim = 21;
  const int64_t tokens = 9;
  const std::vector<float> sinks = random_floats(9, heads), out = random_floats(10, tokens * heads * v_dim);
  const std::vector<float> dout = random_floats(11, tokens * heads * v_dim), lse = random_floats(12, tokens * heads);
  const SinksGradArgs args{sinks.data(), out.data(), lse.data(), dout.data(), tokens, heads, v_dim};
  std::vector<float> d(heads), expected(heads);
  kernels().sinks_grad(d.data(), args, 0, heads);
  kReferenceKernels.sinks_grad(expected.data(), args, 0, heads);
  expect_close(d, expected, 1e-5f);
}

TEST_P(GradientsTest, ColumnsOfTheLossAreThoseOfTheWhole) {
  const int64_t rows = 5, vocab = 203, first = 64, n = 70;
  const std::vector<float> logits = random_floats(13, rows * vocab, 4.0f);
  const std::vector<int32_t> targets = {0, 100, -1, 64, 133};
  const std::vector<float> weights = {1, 0.5f, 1, 2, 0.25f};
  std::vector<float> loss(rows), lse(rows), d(rows * vocab), z(rows * n), expected(rows * n), no_weights(rows);
  CrossEntropyArgs args{.logits = logits.data(), .targets = targets.data(), .loss = loss.data(), .dlogits = d.data(),
                        .vocab = vocab, .scale = 0.25f, .weights = weights.data(), .log_sum_exp = lse.data()};
  kernels().cross_entropy(args, 0, rows);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      z[i * n + j] = logits[i * vocab + first + j];
      expected[i * n + j] = d[i * vocab + first + j];
    }
  }
  const CrossEntropyColumnsArgs columns{z.data(), lse.data(), targets.data(), weights.data(), n, first, 0.25f};
  kernels().cross_entropy_columns(columns, 2, rows);
  kernels().cross_entropy_columns(columns, 0, 2);
  expect_close(z, expected, 2e-6f);
  args.weights = nullptr;
  args.loss = no_weights.data();
  kernels().cross_entropy(args, 0, rows);
  for (int64_t i = 0; i < rows; ++i) EXPECT_FLOAT_EQ(loss[i], no_weights[i] * weights[i]);
}

// Of three rows the second is ignored; k from one to the whole vocabulary.
TEST_P(GradientsTest, OfDistillationAreNearTheReference) {
  const int64_t rows = 3, vocab = 203, first = 64, n = 70;
  const std::vector<float> teacher = random_floats(21, rows * vocab, 3.0f), logits = random_floats(22, rows * vocab, 3.0f);
  const std::vector<int32_t> targets = {100, -1, 70};
  const std::vector<float> weights = {0.5f, 1, 2}, shares = {0.75f, 0, 1};
  for (const int64_t k : {int64_t{1}, int64_t{24}, vocab}) {
    for (const float beta : {0.0f, 1.0f, 0.3f}) {
      SCOPED_TRACE(std::to_string(k) + " beta " + std::to_string(beta));
      struct Result {
        std::vector<int32_t> ids;
        std::vector<float> p, loss, divergence, record, d, columns;
      };
      const auto run = [&](const CpuKernels& table, bool in_parts) {
        Result r{std::vector<int32_t>(rows * k), std::vector<float>(rows * (k + 1)), std::vector<float>(rows),
                 std::vector<float>(rows), std::vector<float>(rows * (k + 3)), logits, std::vector<float>(rows * n)};
        std::vector<float> z = teacher;
        const TopProbabilitiesArgs top{z.data(), r.ids.data(), r.p.data(), vocab, k, 2.0f};
        DistillArgs args{.logits = r.d.data(), .targets = targets.data(), .ids = r.ids.data(),
                         .probabilities = r.p.data(), .loss = r.loss.data(), .divergence = r.divergence.data(),
                         .record = r.record.data(), .dlogits = r.d.data(), .vocab = vocab, .k = k, .temperature = 2,
                         .share = 0.5f, .beta = beta, .scale = 0.25f, .weights = weights.data(),
                         .shares = shares.data()};
        for (int64_t i = 0; i < rows * n; ++i) r.columns[i] = logits[i / n * vocab + first + i % n];
        const DistillColumnsArgs columns{r.columns.data(), r.record.data(), r.ids.data(), targets.data(),
                                         weights.data(), n, first, k, 2.0f, 0.5f, 0.25f, shares.data()};
        for (int64_t i = rows; i-- > 0;) {
          const int64_t begin = in_parts ? i : 0, end = in_parts ? i + 1 : rows;
          table.top_probabilities(top, begin, end);
          table.distill(args, begin, end);
          table.distill_columns(columns, begin, end);
          if (!in_parts) break;
        }
        return r;
      };
      const Result got = run(kernels(), false), parts = run(kernels(), true), want = run(kReferenceKernels, false);
      EXPECT_EQ(got.ids, want.ids);
      expect_close(got.p, want.p, 2e-6f);
      expect_close(got.loss, want.loss, 2e-6f);
      expect_close(got.divergence, want.divergence, 2e-6f);
      expect_close(got.d, want.d, 2e-6f);
      expect_same_bits(parts.p, got.p);
      expect_same_bits(parts.d, got.d);
      expect_same_bits(parts.columns, got.columns);
      std::vector<float> of_whole(rows * n);
      for (int64_t i = 0; i < rows * n; ++i) of_whole[i] = got.d[i / n * vocab + first + i % n];
      expect_close(got.columns, of_whole, 2e-6f);
      EXPECT_EQ(got.loss[1], 0);
      for (int64_t j = 0; j < vocab; ++j) EXPECT_EQ(got.d[vocab + j], 0);
    }
  }
}

}  // namespace
}  // namespace strata
