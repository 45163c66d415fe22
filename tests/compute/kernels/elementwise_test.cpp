#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

class ElementwiseTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(ElementwiseTest);

constexpr Activation kActivations[] = {
    Activation::kSilu,  Activation::kGelu,    Activation::kGeluTanh, Activation::kRelu,
    Activation::kRelu2, Activation::kSigmoid, Activation::kTanh,
};

// Every quarter of the usual range, the far ends, and zero of both signs.
std::vector<float> arguments() {
  std::vector<float> x;
  for (float v = -30; v <= 30; v += 0.00917f) x.push_back(v);
  for (float v : {-1e30f, -200.0f, -104.0f, -88.0f, -1e-6f, -0.0f, 0.0f, 1e-6f, 88.0f, 104.0f, 200.0f}) x.push_back(v);
  return x;
}

TEST_P(ElementwiseTest, ActivationsAndTheirSlopesAreNearTheReference) {
  const std::vector<float> x = arguments(), ones(x.size(), 1.0f);
  std::vector<float> y(x.size()), expected(x.size());
  for (Activation activation : kActivations) {
    SCOPED_TRACE(static_cast<int>(activation));
    for (bool slope : {false, true}) {
      if (slope) {
        kernels().activate_grad(activation, y.data(), ones.data(), x.data(), x.size());
        kReferenceKernels.activate_grad(activation, expected.data(), ones.data(), x.data(), x.size());
      } else {
        kernels().activate(activation, y.data(), x.data(), x.size());
        kReferenceKernels.activate(activation, expected.data(), x.data(), x.size());
      }
      for (size_t i = 0; i < x.size(); ++i) {
        if (std::isinf(expected[i])) continue;
        // In a slope, x multiplies what is left of 1 - sigmoid(x).
        const double tolerance = (slope ? 1e-6 : 4e-7) * std::max(1.0f, std::fabs(expected[i]));
        ASSERT_NEAR(y[i], expected[i], tolerance) << "x = " << x[i] << (slope ? ", slope" : "");
      }
    }
  }
}

// sigmoid(x) is e^x * (1 - ...) for very negative x, so its relative error shows that of exp over the whole range.
TEST_P(ElementwiseTest, ExpIsRightToAFewUnitsInTheLastPlace) {
  std::vector<float> x;
  for (float v = -87; v <= 20; v += 0.000613f) x.push_back(v);
  std::vector<float> y(x.size());
  kernels().activate(Activation::kSigmoid, y.data(), x.data(), x.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = 1.0 / (1.0 + std::exp(-static_cast<double>(x[i])));
    worst = std::max(worst, std::fabs(y[i] - exact) / (exact * std::ldexp(1.0, -23)));
  }
  RecordProperty("worst_ulp", std::to_string(worst));
  EXPECT_LE(worst, 2.5);
}

TEST_P(ElementwiseTest, TanhIsRightToAFewUnitsInTheLastPlace) {
  std::vector<float> x;
  for (float v = -10; v <= 10; v += 0.0000613f) x.push_back(v);
  std::vector<float> y(x.size());
  kernels().activate(Activation::kTanh, y.data(), x.data(), x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::tanh(static_cast<double>(x[i]));
    ASSERT_LE(std::fabs(y[i] - exact), 2.5 * std::ldexp(std::fabs(exact), -23) + 1e-37) << x[i];
  }
}

TEST_P(ElementwiseTest, NotANumberStaysVisible) {
  const std::vector<float> x(17, std::nanf(""));
  std::vector<float> y(17);
  for (Activation activation : {Activation::kSilu, Activation::kSigmoid, Activation::kTanh, Activation::kGelu}) {
    kernels().activate(activation, y.data(), x.data(), x.size());
    for (float v : y) EXPECT_TRUE(std::isnan(v)) << static_cast<int>(activation);
  }
}

TEST_P(ElementwiseTest, AnElementDoesNotDependOnItsPlace) {
  const std::vector<float> x = random_floats(1, 67, 3.0f), up = random_floats(2, 67);
  for (Activation activation : kActivations) {
    std::vector<float> whole(x.size()), single(x.size());
    kernels().gated(activation, whole.data(), x.data(), up.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) kernels().gated(activation, &single[i], &x[i], &up[i], 1);
    expect_same_bits(single, whole);
  }
}

TEST_P(ElementwiseTest, PlainArithmeticHasTheReferencesBits) {
  for (size_t n : {1, 15, 16, 17, 64, 65, 131}) {
    const std::vector<float> a = random_floats(3, n), b = random_floats(4, n);
    std::vector<float> y(n + 1, 7.0f), expected(n + 1, 7.0f);
    const auto compare = [&](auto call) {
      call(kernels(), y.data());
      call(kReferenceKernels, expected.data());
      expect_same_bits(y, expected);  // the number after the last is not touched
    };
    compare([&](const CpuKernels& k, float* to) { k.add(to, a.data(), b.data(), n); });
    compare([&](const CpuKernels& k, float* to) { k.mul(to, a.data(), b.data(), n); });
    compare([&](const CpuKernels& k, float* to) { k.scale(to, a.data(), 0.3f, n); });
    compare([&](const CpuKernels& k, float* to) { k.clamp(to, a.data(), 0.3f, n); });
  }
  const std::vector<float> x = random_floats(5, 3 * 37), b = random_floats(6, 37);
  std::vector<float> y(x.size()), expected(x.size());
  kernels().add_bias(y.data(), x.data(), b.data(), 3, 37);
  kReferenceKernels.add_bias(expected.data(), x.data(), b.data(), 3, 37);
  expect_same_bits(y, expected);
}

TEST_P(ElementwiseTest, GatedGradientIsNearTheReferenceAndMayOverwriteItsInputs) {
  const size_t n = 203;
  const std::vector<float> dy = random_floats(7, n), gate = random_floats(8, n, 2.0f), up = random_floats(9, n);
  for (Activation activation : kActivations) {
    std::vector<float> dgate = gate, dup = up, dgate_expected(n), dup_expected(n);
    kernels().gated_grad(activation, dgate.data(), dup.data(), dy.data(), dgate.data(), dup.data(), n);
    kReferenceKernels.gated_grad(activation, dgate_expected.data(), dup_expected.data(), dy.data(), gate.data(),
                                 up.data(), n);
    expect_close(dgate, dgate_expected, 1e-6f);
    expect_close(dup, dup_expected, 1e-6f);
  }
}

TEST_P(ElementwiseTest, ClampedGateAndItsGradientAreNearTheReference) {
  const size_t n = 203;
  const std::vector<float> dy = random_floats(11, n);
  const std::vector<float> gate = random_floats(12, n, 3.0f), up = random_floats(13, n, 3.0f);  // beyond the limit too
  for (const float limit : {1.5f, 7.0f}) {
    std::vector<float> y = gate, expected(n);
    kernels().clamped_gated(y.data(), y.data(), up.data(), 1.702f, limit, n);  // in place
    kReferenceKernels.clamped_gated(expected.data(), gate.data(), up.data(), 1.702f, limit, n);
    expect_close(y, expected, 1e-6f);
    std::vector<float> single(n);
    for (size_t i = 0; i < n; ++i) kernels().clamped_gated(&single[i], &gate[i], &up[i], 1.702f, limit, 1);
    expect_same_bits(single, y);
    std::vector<float> dgate = gate, dup = up, dgate_expected(n), dup_expected(n);
    kernels().clamped_gated_grad(dgate.data(), dup.data(), dy.data(), dgate.data(), dup.data(), 1.702f, limit, n);
    kReferenceKernels.clamped_gated_grad(dgate_expected.data(), dup_expected.data(), dy.data(), gate.data(), up.data(),
                                         1.702f, limit, n);
    expect_close(dgate, dgate_expected, 1e-6f);
    expect_close(dup, dup_expected, 1e-6f);
  }
}

// The slope is what the value does over a small step, away from the clamps' corners.
TEST(ClampedGate, ReferenceGradientIsTheSlopeOfTheValue) {
  const float alpha = 1.702f, limit = 2.0f, step = 1e-3f, one = 1;
  for (float gate = -4.05f; gate < 4; gate += 0.3f) {
    for (float up = -4.05f; up < 4; up += 0.3f) {
      const auto value = [&](float g, float u) {
        float y = 0;
        kReferenceKernels.clamped_gated(&y, &g, &u, alpha, limit, 1);
        return static_cast<double>(y);
      };
      float dgate = 0, dup = 0;
      kReferenceKernels.clamped_gated_grad(&dgate, &dup, &one, &gate, &up, alpha, limit, 1);
      EXPECT_NEAR(dgate, (value(gate + step, up) - value(gate - step, up)) / (2 * step), 2e-3) << gate << " " << up;
      EXPECT_NEAR(dup, (value(gate, up + step) - value(gate, up - step)) / (2 * step), 2e-3) << gate << " " << up;
    }
  }
}

TEST_P(ElementwiseTest, ColumnSumsAndScatteredSumsDoNotDependOnTheSplit) {
  const int64_t rows = 9, dim = 37, vocab = 5;
  const std::vector<float> dy = random_floats(10, rows * dim);
  const std::vector<int32_t> ids = {3, 0, 3, 4, 1, 3, 0, 4, 3};
  std::vector<float> whole(dim, 0.5f), parts = whole, expected = whole;
  kernels().add_bias_grad(whole.data(), dy.data(), rows, dim, 0, dim);
  kernels().add_bias_grad(parts.data(), dy.data(), rows, dim, 0, 11);
  kernels().add_bias_grad(parts.data(), dy.data(), rows, dim, 11, dim);
  kReferenceKernels.add_bias_grad(expected.data(), dy.data(), rows, dim, 0, dim);
  expect_same_bits(parts, whole);
  expect_close(whole, expected, 1e-6f);

  std::vector<float> table(vocab * dim, 0.25f), split = table, table_expected = table;
  kernels().embed_grad(table.data(), dy.data(), ids.data(), rows, dim, 0, vocab);
  kernels().embed_grad(split.data(), dy.data(), ids.data(), rows, dim, 3, vocab);
  kernels().embed_grad(split.data(), dy.data(), ids.data(), rows, dim, 0, 3);
  kReferenceKernels.embed_grad(table_expected.data(), dy.data(), ids.data(), rows, dim, 0, vocab);
  expect_same_bits(split, table);
  expect_same_bits(table, table_expected);
}

// Gradients of any sign and zero; v is no root's of a negative number.
TEST_P(ElementwiseTest, StepsOfOptimizersAreTheReferenceBitForBitWhateverTheSplit) {
  const int64_t n = 77;
  std::vector<float> gradient = random_floats(1, n);
  gradient[3] = gradient[40] = 0;
  std::vector<float> second = random_floats(4, n);
  for (float& v : second) v = std::abs(v);
  second[3] = 0;
  using Step = void (*)(const OptimizerArgs&);
  for (const Step CpuKernels::* step : {&CpuKernels::adamw, &CpuKernels::sgd, &CpuKernels::lion}) {
    struct State {
      std::vector<float> values, first, second;
    };
    const auto run = [&](const CpuKernels& table, int64_t piece) {
      State state{random_floats(2, n), random_floats(3, n), second};
      state.first[3] = 0;
      for (int64_t at = 0; at < n; at += piece) {
        (table.*step)({.values = state.values.data() + at, .gradient = gradient.data() + at,
                       .first = state.first.data() + at, .second = state.second.data() + at,
                       .n = std::min(piece, n - at), .scale = 0.7f, .keep = 0.999f, .rate = 0.03f, .beta1 = 0.9f,
                       .beta2 = 0.95f, .root = 1.3f, .epsilon = 1e-8f});
      }
      return state;
    };
    const State want = run(kReferenceKernels, n);
    for (const int64_t piece : {n, int64_t{29}}) {
      const State got = run(kernels(), piece);
      expect_same_bits(got.values, want.values);
      expect_same_bits(got.first, want.first);
      expect_same_bits(got.second, want.second);
    }
    EXPECT_NE(want.values, random_floats(2, n));
  }
}

}  // namespace
}  // namespace strata
