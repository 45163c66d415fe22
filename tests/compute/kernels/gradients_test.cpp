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

}  // namespace
}  // namespace strata
