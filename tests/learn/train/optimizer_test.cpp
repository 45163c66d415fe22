#include "learn/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "learn/train/schedule.h"

namespace strata {
namespace {

using nlohmann::json;

json golden() {
  std::ifstream in(std::string(STRATA_SOURCE_DIR) + "/tests/data/train/optimizers.json");
  return json::parse(in);
}

double norm_of(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

struct Case {
  const char* name;
  OptimizerOptions options;
  double max_norm = 0;
};

class Optimizers : public testing::TestWithParam<Case> {};

TEST_P(Optimizers, FollowPyTorchStepByStep) {
  const json all = golden();
  const Case& c = GetParam();
  auto weights = all["start"].get<std::vector<float>>();
  std::vector<float> first(weights.size()), second(weights.size()), average = weights;
  int64_t step = 0;
  for (const json& want : all[c.name]) {
    const auto gradient = all["gradients"][static_cast<size_t>(step)].get<std::vector<float>>();
    const double norm = norm_of(gradient);
    EXPECT_NEAR(norm, want["norm"].get<double>(), 1e-5);
    ++step;
    // In two pieces: the split of a parameter changes nothing.
    for (const auto& [begin, size] : {std::pair<size_t, size_t>{0, 3}, {3, weights.size() - 3}}) {
      const UpdatePiece piece{std::span(weights).subspan(begin, size),
                              std::span(gradient).subspan(begin, size),
                              {std::span(first).subspan(begin, size), std::span(second).subspan(begin, size)},
                              true};
      update(kReferenceKernels, c.options, step, 0.01, clip_factor(norm, c.max_norm), piece);
    }
    update_average(average, weights, 0.75);
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_NEAR(weights[i], want["weights"][i].get<float>(), 1e-6) << "step " << step;
      EXPECT_NEAR(average[i], want["average"][i].get<float>(), 1e-6) << "step " << step;
    }
  }
  EXPECT_EQ(step, 6);
}

INSTANTIATE_TEST_SUITE_P(All, Optimizers,
                         testing::Values(Case{"adamw", {}}, Case{"adamw_clipped", {}, 2.0},
                                         Case{"sgd", {.kind = OptimizerKind::kSgd}},
                                         Case{"lion", {.kind = OptimizerKind::kLion, .beta2 = 0.99}}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(OptimizerNames, AreReadAndListed) {
  for (const char* each : {"adamw", "sgd", "lion"}) EXPECT_EQ(name(*optimizer_from_name(each)), each);
  EXPECT_NE(optimizer_from_name("adam").status().message().find("adamw, sgd, lion"), std::string::npos);
}

TEST(DecayRules, LeaveNormsAndBiasesAlone) {
  OptimizerOptions options;
  const std::vector<int64_t> vector{8}, matrix{8, 8};
  EXPECT_FALSE(decays(options, vector));
  EXPECT_TRUE(decays(options, matrix));
  options.decays = DecayRule::kAll;
  EXPECT_TRUE(decays(options, vector));
  std::vector<float> w{1}, g{0}, m{0}, v{0};
  update(kReferenceKernels, {}, 1, 0.5, 1, {w, g, {m, v}, false});
  EXPECT_EQ(w[0], 1);
  update(kReferenceKernels, {}, 2, 0.5, 1, {w, g, {m, v}, true});
  EXPECT_FLOAT_EQ(w[0], 0.95F);
}

TEST(Clipping, ShortensLongGradientsOnly) {
  EXPECT_EQ(clip_factor(5, 0), 1);
  EXPECT_EQ(clip_factor(0.5, 1), 1);
  EXPECT_NEAR(clip_factor(4, 1), 0.25, 1e-6);
}

TEST(Schedules, FollowPyTorch) {
  const json all = golden();
  for (const char* each : {"cosine", "linear"}) {
    const ScheduleOptions options{
        .kind = *schedule_from_name(each), .peak = 1, .final_ratio = 0.1, .steps = 20, .warmup_steps = 4};
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_NEAR(learning_rate(options, static_cast<int64_t>(i) + 1), all[each][i].get<double>(), 1e-9)
          << each << " step " << i + 1;
    }
  }
}

TEST(Schedules, StayStableBeforeTheDecayOfWsdAndStopAtTheEnd) {
  const ScheduleOptions wsd{
      .kind = ScheduleKind::kWsd, .peak = 2, .final_ratio = 0, .steps = 100, .warmup_steps = 10, .decay_steps = 20};
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 1), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 10), 2);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 80), 2);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 90), 1);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 100), 0);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 500), 0);
  const ScheduleOptions constant{.kind = ScheduleKind::kConstant, .peak = 2, .final_ratio = 1, .steps = 10};
  EXPECT_DOUBLE_EQ(learning_rate(constant, 1), 2);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 10), 2);
  EXPECT_NE(schedule_from_name("step").status().message().find("wsd"), std::string::npos);
}

}  // namespace
}  // namespace strata
