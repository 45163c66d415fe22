#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

class ExpertsTest : public KernelTest {
 protected:
  void compare(RouteArgs args, int64_t rows) {
    std::vector<int32_t> ids(rows * args.n_used), ids_expected = ids;
    std::vector<float> weights(ids.size()), weights_expected(ids.size());
    args.ids = ids_expected.data();
    args.weights = weights_expected.data();
    kReferenceKernels.route(args, 0, rows);
    args.ids = ids.data();
    args.weights = weights.data();
    for (int64_t row = rows; row-- > 0;) kernels().route(args, row, row + 1);
    EXPECT_EQ(ids, ids_expected);
    expect_close(weights, weights_expected, 1e-6f);
  }
};
STRATA_TEST_EVERY_TABLE(ExpertsTest);

using Score = RouteArgs::Score;

TEST_P(ExpertsTest, RouteIsTheReference) {
  const int64_t rows = 20;
  for (int n_experts : {4, 16, 60, 128, 256}) {
    const std::vector<float> logits = random_floats(60, rows * n_experts, 2.0f);
    const std::vector<float> bias = random_floats(61, n_experts, 0.1f);
    for (Score score : {Score::kSoftmax, Score::kSigmoid, Score::kSoftmaxOfChosen}) {
      for (bool normalize : {false, true}) {
        for (bool with_bias : {false, true}) {
          SCOPED_TRACE(n_experts);
          RouteArgs args{.logits = logits.data(), .bias = with_bias ? bias.data() : nullptr, .n_experts = n_experts,
                         .n_used = std::min(8, n_experts), .score = score, .normalize = normalize, .scale = 2.5f};
          compare(args, rows);
          if (n_experts < 16) continue;
          args.n_groups = 4;
          args.n_groups_used = 2;
          compare(args, rows);
          args.n_group_best = 1;
          compare(args, rows);
        }
      }
    }
  }
}

TEST_P(ExpertsTest, TiesGoToTheLowerExpertAndGroup) {
  const std::vector<float> logits = {1, 3, 3, 1, 3, 1, 3, 3};
  int32_t ids[3];
  float weights[3];
  RouteArgs args{.logits = logits.data(), .ids = ids, .weights = weights, .n_experts = 8, .n_used = 3,
                 .score = Score::kSigmoid};
  for (const CpuKernels* table : {&kernels(), &kReferenceKernels}) {
    args.n_groups = args.n_groups_used = 1;
    table->route(args, 0, 1);
    EXPECT_EQ(std::vector<int>(ids, ids + 3), (std::vector<int>{1, 2, 4}));
    args.n_groups = 4;  // best sums: {3, 3} of group 3, then 4 of groups 0, 1 and 2
    args.n_groups_used = 2;
    table->route(args, 0, 1);
    EXPECT_EQ(std::vector<int>(ids, ids + 3), (std::vector<int>{1, 6, 7}));
    args.n_group_best = 1;  // the best is 3 everywhere
    table->route(args, 0, 1);
    EXPECT_EQ(std::vector<int>(ids, ids + 3), (std::vector<int>{1, 2, 0}));
    args.n_group_best = 2;
  }
}

TEST_P(ExpertsTest, TheBiasChoosesButDoesNotWeigh) {
  const std::vector<float> logits = {0, 1, 2, 3}, bias = {10, 0, 0, 0};
  int32_t ids[2];
  float weights[2];
  const RouteArgs args{.logits = logits.data(), .bias = bias.data(), .ids = ids, .weights = weights, .n_experts = 4,
                       .n_used = 2, .score = Score::kSigmoid};
  kernels().route(args, 0, 1);
  EXPECT_EQ(ids[0], 0);
  EXPECT_EQ(ids[1], 3);
  EXPECT_NEAR(weights[0], 0.5f, 1e-6f);
}

TEST_P(ExpertsTest, NotANumberStillGivesExpertsThatExist) {
  const std::vector<float> logits(16, std::nanf(""));
  int32_t ids[4];
  float weights[4];
  const RouteArgs args{.logits = logits.data(), .ids = ids, .weights = weights, .n_experts = 16, .n_used = 4,
                       .n_groups = 4, .n_groups_used = 2};
  kernels().route(args, 0, 1);
  for (int32_t id : ids) {
    EXPECT_GE(id, 0);
    EXPECT_LT(id, 16);
  }
}

TEST_P(ExpertsTest, CombineSumsInRouterRank) {
  for (int64_t dim : {1, 33, 256}) {
    for (int used : {1, 2, 8}) {
      const int64_t rows = 3;
      const std::vector<float> y = random_floats(62, rows * used * dim), weights = random_floats(63, rows * used);
      std::vector<float> out(rows * dim), expected(rows * dim);
      for (int64_t row = rows; row-- > 0;) {
        kernels().combine(out.data(), y.data(), weights.data(), dim, used, row, row + 1);
      }
      kReferenceKernels.combine(expected.data(), y.data(), weights.data(), dim, used, 0, rows);
      expect_close(out, expected, 5e-7f);
    }
  }
}

TEST_P(ExpertsTest, GradientsOfRouteAndCombineAreTheReferences) {
  const int64_t rows = 9, dim = 37;
  const int used = 3, n_experts = 8;
  const std::vector<float> logits = random_floats(66, rows * n_experts), dweights = random_floats(67, rows * used);
  for (Score score : {Score::kSoftmax, Score::kSigmoid, Score::kSoftmaxOfChosen}) {
    for (bool normalize : {false, true}) {
      std::vector<int32_t> ids(rows * used);
      std::vector<float> weights(rows * used), got(rows * n_experts), expected(rows * n_experts, 9.0f);
      const RouteArgs args{.logits = logits.data(), .ids = ids.data(), .weights = weights.data(),
                           .n_experts = n_experts, .n_used = used, .score = score, .normalize = normalize,
                           .scale = 1.5f};
      kReferenceKernels.route(args, 0, rows);
      kReferenceKernels.route_grad(expected.data(), dweights.data(), args, 0, rows);
      for (int64_t row = rows; row-- > 0;) kernels().route_grad(got.data(), dweights.data(), args, row, row + 1);
      expect_close(got, expected, 2e-6f);
    }
  }
  const std::vector<float> dout = random_floats(68, rows * dim), y = random_floats(69, rows * used * dim);
  std::vector<float> dy(y.size()), dy_expected(y.size()), dw(dweights.size()), dw_expected(dweights.size());
  for (int64_t row = rows; row-- > 0;) {
    kernels().combine_grad(dy.data(), dw.data(), dout.data(), y.data(), dweights.data(), dim, used, row, row + 1);
  }
  kReferenceKernels.combine_grad(dy_expected.data(), dw_expected.data(), dout.data(), y.data(), dweights.data(), dim,
                                 used, 0, rows);
  expect_same_bits(dy, dy_expected);
  expect_close(dw, dw_expected, 1e-6f);
}

// The slope is what the weights do over a small step of a logit, as long as the choice stays.
TEST(RouteGradient, ReferenceIsTheSlopeOfTheWeights) {
  const std::vector<float> logits = {0.3f, -1.2f, 2.1f, 0.9f, -0.4f, 1.6f}, dweights = {0.7f, -1.1f, 0.4f};
  for (Score score : {Score::kSoftmax, Score::kSigmoid, Score::kSoftmaxOfChosen}) {
    for (bool normalize : {false, true}) {
      const auto loss = [&](std::vector<float> moved, int e, float step) {
        moved[static_cast<size_t>(e)] += step;
        int32_t ids[3];
        float weights[3];
        kReferenceKernels.route({.logits = moved.data(), .ids = ids, .weights = weights, .n_experts = 6, .n_used = 3,
                                 .score = score, .normalize = normalize, .scale = 2.0f}, 0, 1);
        double sum = 0;
        for (size_t r = 0; r < 3; ++r) sum += static_cast<double>(weights[r]) * dweights[r];
        return sum;
      };
      int32_t ids[3];
      float weights[3], slope[6];
      const RouteArgs args{.logits = logits.data(), .ids = ids, .weights = weights, .n_experts = 6, .n_used = 3,
                           .score = score, .normalize = normalize, .scale = 2.0f};
      kReferenceKernels.route(args, 0, 1);
      kReferenceKernels.route_grad(slope, dweights.data(), args, 0, 1);
      for (int e = 0; e < 6; ++e)
        EXPECT_NEAR(slope[e], (loss(logits, e, 0.01f) - loss(logits, e, -0.01f)) / 0.02, 2e-4) << e;
    }
  }
}

TEST_P(ExpertsTest, HeadMatmulDoesNotDependOnItsCompany) {
  const int64_t rows = 7;
  const int n_heads = 3;
  for (auto [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {5, 16}, {8, 33}, {64, 128}, {13, 70}}) {
    SCOPED_TRACE(k);
    const std::vector<float> x = random_floats(64, rows * n_heads * k), w = random_floats(65, n_heads * n * k);
    std::vector<float> y(rows * n_heads * n), expected(y.size()), alone(y.size());
    kernels().head_matmul(y.data(), x.data(), w.data(), n_heads, n, k, 0, rows);
    kReferenceKernels.head_matmul(expected.data(), x.data(), w.data(), n_heads, n, k, 0, rows);
    expect_close(y, expected, 1e-6f);
    for (int64_t row = 0; row < rows; ++row) {
      kernels().head_matmul(alone.data(), x.data(), w.data(), n_heads, n, k, row, row + 1);
    }
    expect_same_bits(alone, y);
  }
}

}  // namespace
}  // namespace strata
