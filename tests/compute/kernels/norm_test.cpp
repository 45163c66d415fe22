#include <functional>

#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

class NormTest : public KernelTest {
 protected:
  // Runs `op` over rows for both tables, compares them, and compares each row alone with the row in company.
  using Op = std::function<void(const CpuKernels&, float* y, const float* x, int64_t rows)>;
  void check(int64_t rows, int64_t dim, const std::vector<float>& x, const Op& op, float tolerance) {
    std::vector<float> y(rows * dim), expected(rows * dim), alone(rows * dim), in_place = x;
    op(kernels(), y.data(), x.data(), rows);
    op(kReferenceKernels, expected.data(), x.data(), rows);
    expect_close(y, expected, tolerance);
    for (int64_t i = 0; i < rows; ++i) op(kernels(), alone.data() + i * dim, x.data() + i * dim, 1);
    expect_same_bits(alone, y);
    op(kernels(), in_place.data(), in_place.data(), rows);
    expect_same_bits(in_place, y);
  }
};
STRATA_TEST_EVERY_TABLE(NormTest);

TEST_P(NormTest, RmsNorm) {
  for (int64_t dim : {1, 7, 16, 64, 100, 288, 2048, 4097}) {
    SCOPED_TRACE(dim);
    const std::vector<float> x = random_floats(11, 3 * dim, 2.0f), w = random_floats(12, dim);
    for (float offset : {0.0f, 1.0f}) {
      check(3, dim, x, [&](const CpuKernels& k, float* y, const float* in, int64_t rows) {
        k.rms_norm(y, in, w.data(), rows, dim, 1e-6f, offset);
      }, 1e-6f);
    }
    check(3, dim, x, [&](const CpuKernels& k, float* y, const float* in, int64_t rows) {
      k.rms_norm(y, in, nullptr, rows, dim, 1e-6f, 1.0f);
    }, 1e-6f);
  }
}

TEST_P(NormTest, LayerNorm) {
  for (int64_t dim : {2, 7, 16, 64, 100, 768, 4097}) {
    SCOPED_TRACE(dim);
    std::vector<float> x = random_floats(13, 3 * dim, 2.0f);
    for (float& v : x) v += 5;  // the mean must go before the squares are summed
    const std::vector<float> w = random_floats(14, dim), b = random_floats(15, dim);
    check(3, dim, x, [&](const CpuKernels& k, float* y, const float* in, int64_t rows) {
      k.layer_norm(y, in, w.data(), b.data(), rows, dim, 1e-5f, 0);
    }, 3e-6f);
    check(3, dim, x, [&](const CpuKernels& k, float* y, const float* in, int64_t rows) {
      k.layer_norm(y, in, nullptr, nullptr, rows, dim, 1e-5f, 0);
    }, 3e-6f);
  }
}

TEST_P(NormTest, Softmax) {
  for (int64_t dim : {1, 5, 16, 33, 1000, 32003}) {
    SCOPED_TRACE(dim);
    std::vector<float> x = random_floats(16, 2 * dim, 5.0f);
    x[0] = 300;  // far above the rest: no overflow
    check(2, dim, x, [&](const CpuKernels& k, float* y, const float* in, int64_t rows) {
      k.softmax(y, in, rows, dim);
    }, 2e-6f);
  }
}

TEST_P(NormTest, RmsNormGradientIsNearTheReferenceAndTheDifferenceQuotient) {
  const int64_t rows = 5, dim = 77;
  const std::vector<float> x = random_floats(17, rows * dim), dy = random_floats(18, rows * dim);
  const std::vector<float> w = random_floats(19, dim);
  std::vector<float> dx(rows * dim), dx_expected(rows * dim), dw(dim, 0.1f), dw_expected = dw, dw_parts = dw;
  kernels().rms_norm_dx(dx.data(), dy.data(), x.data(), w.data(), rows, dim, 1e-5f, 1.0f);
  kReferenceKernels.rms_norm_dx(dx_expected.data(), dy.data(), x.data(), w.data(), rows, dim, 1e-5f, 1.0f);
  expect_close(dx, dx_expected, 2e-6f);
  kernels().rms_norm_dw(dw.data(), dy.data(), x.data(), rows, dim, 1e-5f, 0, dim);
  kReferenceKernels.rms_norm_dw(dw_expected.data(), dy.data(), x.data(), rows, dim, 1e-5f, 0, dim);
  expect_close(dw, dw_expected, 2e-6f);
  kernels().rms_norm_dw(dw_parts.data(), dy.data(), x.data(), rows, dim, 1e-5f, 30, dim);
  kernels().rms_norm_dw(dw_parts.data(), dy.data(), x.data(), rows, dim, 1e-5f, 0, 30);
  expect_same_bits(dw_parts, dw);

  const auto loss = [&](const std::vector<float>& at, const std::vector<float>& weights) {
    std::vector<float> y(rows * dim);
    kReferenceKernels.rms_norm(y.data(), at.data(), weights.data(), rows, dim, 1e-5f, 1.0f);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(y[i]) * dy[i];
    return sum;
  };
  const float h = 1e-2f;
  for (int64_t i : {0, 40, 76, 200}) {
    std::vector<float> up = x, down = x;
    up[i] += h;
    down[i] -= h;
    EXPECT_NEAR((loss(up, w) - loss(down, w)) / (2 * h), dx[i], 2e-3);
  }
  std::vector<float> up = w, down = w;
  up[3] += h;
  down[3] -= h;
  EXPECT_NEAR((loss(x, up) - loss(x, down)) / (2 * h), dw[3] - 0.1f, 2e-3);
}

TEST_P(NormTest, CrossEntropy) {
  const int64_t rows = 5, vocab = 1003;
  const std::vector<float> logits = random_floats(20, rows * vocab, 4.0f);
  const std::vector<int32_t> targets = {0, 1002, -1, 17, 500};
  CrossEntropyArgs args{.logits = logits.data(), .targets = targets.data(), .vocab = vocab, .scale = 0.25f};
  std::vector<float> loss(rows), loss_expected(rows), d(rows * vocab, 9.0f), d_expected(rows * vocab);
  args.loss = loss_expected.data();
  args.dlogits = d_expected.data();
  kReferenceKernels.cross_entropy(args, 0, rows);
  args.loss = loss.data();
  args.dlogits = d.data();
  for (int64_t i = rows; i-- > 0;) kernels().cross_entropy(args, i, i + 1);
  expect_close(loss, loss_expected, 1e-6f);
  expect_close(d, d_expected, 1e-6f);
  EXPECT_EQ(loss[2], 0.0f);
  EXPECT_EQ(d[2 * vocab + 5], 0.0f);

  std::vector<float> in_place = logits, loss_only(rows);
  args.logits = args.dlogits = in_place.data();
  kernels().cross_entropy(args, 0, rows);
  expect_same_bits(in_place, d);
  args.logits = logits.data();
  args.dlogits = nullptr;
  args.loss = loss_only.data();
  kernels().cross_entropy(args, 0, rows);
  expect_same_bits(loss_only, loss);
}

}  // namespace
}  // namespace strata
