// Five AdamW steps of golden models against PyTorch's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "learn/train/trainer.h"
#include "model/arch/architecture.h"
#include "model/checkpoint_weights.h"
#include "support/training_batch.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

struct Loaded {
  explicit Loaded(const std::filesystem::path& folder)
      : checkpoint(*Checkpoint::open(folder)), built(*build_model(checkpoint)), weights(checkpoint) {
    parameters = std::make_unique<Parameters>(*Parameters::copy(built.graph, weights));
  }
  Checkpoint checkpoint;
  BuiltModel built;
  CheckpointWeights weights;
  std::unique_ptr<Parameters> parameters;
};

double l2(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

class TrainerGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam());
    folder_ = test::shared_data() / "golden-arch" / GetParam();
    golden_ = json::parse(test::read_text(folder_ / "train.json"));
    options_.max_tokens = 64;
    options_.optimizer.decays = DecayRule::kAll;
  }
  std::filesystem::path folder_;
  json golden_;
  TrainerOptions options_;
};

TEST_P(TrainerGolden, FiveStepsOfAdamW) {
  Loaded model(folder_);
  const test::TrainingBatch rows(golden_["ids"]);
  ThreadPool pool(2);
  auto trainer = Trainer::make(model.built.graph, *model.parameters, *find_cpu_kernels(), pool, options_);
  ASSERT_TRUE(trainer.ok()) << trainer.status().message();
  double worst_loss = 0, worst_norm = 0, worst_element = 0, worst_gradient = 0;
  for (const json& step : golden_["steps"]) {
    (*trainer)->begin(1);
    (*trainer)->accumulate(rows.batch());
    const double norm = (*trainer)->gradient_norm();
    if ((*trainer)->step() == 0) {
      const double want = golden_["grad_norm_total"];
      worst_gradient = std::abs(norm - want) / want;
      EXPECT_LE(worst_gradient, 1e-4);
    }
    (*trainer)->apply(1e-3, norm);
    const double loss = (*trainer)->evaluate(rows.batch());
    EXPECT_NEAR(loss, step["loss_after"].get<double>(), 1e-5) << "after step " << (*trainer)->step();
    worst_loss = std::max(worst_loss, std::abs(loss - step["loss_after"].get<double>()));
    for (const auto& [name, want] : step["parameters"].items()) {
      const int at = model.parameters->index_of(name);
      ASSERT_GE(at, 0) << name;
      const auto values = model.parameters->all()[static_cast<size_t>(at)].values();
      const double norm_error = std::abs(l2(values) - want[1].get<double>()) / want[1].get<double>();
      EXPECT_LE(norm_error, 1e-4) << name;
      worst_norm = std::max(worst_norm, norm_error);
      for (size_t i = 0; i < 2; ++i) {
        const double error = std::abs(values[i] - want[2 + i].get<double>());
        EXPECT_LE(error, 1e-5) << name << " element " << i << " after step " << (*trainer)->step();
        worst_element = std::max(worst_element, error);
      }
    }
  }
  std::printf(
      "%s: 5 AdamW steps: largest error of the loss %.1e, of a parameter's norm %.1e (relative), of an element "
      "%.1e; gradient norm %.1e (relative)\n",
      GetParam(), worst_loss, worst_norm, worst_element, worst_gradient);
}

std::vector<float> train(const std::filesystem::path& folder, const json& ids, const TrainerOptions& options,
                         int threads, bool in_parts) {
  Loaded model(folder);
  ThreadPool pool(threads);
  auto trainer = *Trainer::make(model.built.graph, *model.parameters, *find_cpu_kernels(), pool, options);
  const test::TrainingBatch whole(ids), first(json::array({ids[0]})), second(json::array({ids[1]}));
  for (int step = 0; step < 3; ++step) {
    trainer->begin(in_parts ? 2 : 1);
    for (const test::TrainingBatch* rows : in_parts ? std::vector{&first, &second} : std::vector{&whole}) {
      Batch batch = rows->batch();
      batch.target_total = static_cast<double>(whole.targets.size());
      trainer->accumulate(batch);
    }
    trainer->apply(1e-3, trainer->gradient_norm());
  }
  std::vector<float> all;
  for (const Parameter& p : model.parameters->all()) all.insert(all.end(), p.values().begin(), p.values().end());
  return all;
}

TEST_P(TrainerGolden, ThreadsChangeNoBitAndPartsOfAStepHardlyAny) {
  options_.max_norm = 1;
  options_.average_decay = 0.9;
  const std::vector<float> one = train(folder_, golden_["ids"], options_, 1, false);
  EXPECT_TRUE(one == train(folder_, golden_["ids"], options_, 3, false));
  const std::vector<float> parts = train(folder_, golden_["ids"], options_, 2, true);
  EXPECT_TRUE(parts == train(folder_, golden_["ids"], options_, 1, true));
  double largest = 0;
  for (size_t i = 0; i < one.size(); ++i) largest = std::max(largest, static_cast<double>(std::abs(one[i] - parts[i])));
  EXPECT_LE(largest, 1e-4);
}

// Numbers rounded to 8 bits move the gradient by about a hundredth, never with the number of threads.
TEST_P(TrainerGolden, MixedPrecisionIsNearAndThreadsChangeNoBit) {
  options_.precision = Precision::kBf16;
  Loaded model(folder_);
  const test::TrainingBatch rows(golden_["ids"]);
  ThreadPool pool(2);
  auto trainer = *Trainer::make(model.built.graph, *model.parameters, *find_cpu_kernels(), pool, options_);
  double loss = 0;
  for (const json& step : golden_["steps"]) {
    trainer->begin(1);
    trainer->accumulate(rows.batch());
    const double norm = trainer->gradient_norm(), want = golden_["grad_norm_total"];
    if (trainer->step() == 0) {
      EXPECT_NEAR(norm, want, 0.05 * want);
    }
    trainer->apply(1e-3, norm);
    loss = trainer->evaluate(rows.batch());
    EXPECT_NEAR(loss, step["loss_after"].get<double>(), 0.05 * loss) << "after step " << trainer->step();
  }
  const double last = golden_["steps"].back()["loss_after"];
  EXPECT_NE(loss, last) << "nothing was rounded";
  std::printf("%s: loss after 5 steps in bf16 %.4f, in fp32 %.4f; activations and gradients %zu bytes\n", GetParam(),
              loss, last, trainer->plan().arena_bytes());
  const std::vector<float> one = train(folder_, golden_["ids"], options_, 1, false);
  EXPECT_TRUE(one == train(folder_, golden_["ids"], options_, 2, false));
  EXPECT_TRUE(one == train(folder_, golden_["ids"], options_, 3, false));
}

TEST_P(TrainerGolden, SaysWhereNumbersStopBeingFinite) {
  Loaded model(folder_);
  const test::TrainingBatch rows(golden_["ids"]);
  ThreadPool pool(1);
  auto trainer = *Trainer::make(model.built.graph, *model.parameters, *find_cpu_kernels(), pool, options_);
  EXPECT_EQ(trainer->first_fault(rows.batch()), "");
  const int at = model.parameters->index_of("model.layers.1.input_layernorm.weight");
  ASSERT_GE(at, 0);
  model.parameters->all()[static_cast<size_t>(at)].values()[3] = std::nanf("");
  trainer->refresh();
  EXPECT_EQ(trainer->first_fault(rows.batch()), "after layer 1");
  EXPECT_TRUE(std::isnan(trainer->evaluate(rows.batch())));
}

// Models without a training golden: along its gradient the loss changes as fast as the gradient is long, and every
// parameter has one.
class WholeGradient : public testing::TestWithParam<const char*> {};

TEST_P(WholeGradient, IsTheSlopeOfTheLoss) {
  STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam());
  const std::filesystem::path folder = test::shared_data() / "golden-arch" / GetParam();
  Loaded model(folder);
  const json golden = json::parse(test::read_text(folder / "golden.json"));
  const test::TrainingBatch rows(json::array({golden["prompts"][0]["ids"]}));
  ThreadPool pool(2);
  TrainerOptions options;
  options.max_tokens = 64;
  options.optimizer = {.kind = OptimizerKind::kSgd, .beta1 = 0, .weight_decay = 0};
  auto made = Trainer::make(model.built.graph, *model.parameters, *find_cpu_kernels(), pool, options);
  ASSERT_TRUE(made.ok()) << made.status().message();
  Trainer& trainer = **made;
  trainer.begin(1);
  trainer.accumulate(rows.batch());
  const double norm = trainer.gradient_norm();
  ASSERT_GT(norm, 0.1);
  // So far that the losses differ, so near that they differ by the slope: with experts nearer, as a token that chooses
  // another one makes a kink.
  const double step = (model.built.config.n_experts > 0 ? 2e-4 : 2e-3) / norm;
  trainer.apply(step, norm);
  const double down = trainer.evaluate(rows.batch());
  trainer.apply(-2 * step, norm);
  const double up = trainer.evaluate(rows.batch());
  EXPECT_NEAR((up - down) / (2 * step), norm * norm, 0.02 * norm * norm);
  for (size_t i = 0; i < model.parameters->all().size(); ++i) {
    const Trainer::Memory& memory = trainer.memory()[i];
    const std::string& name = model.parameters->all()[i].name;
    // What chooses experts has no gradient; an expert that no token chose gets zeros.
    if (name.ends_with("e_score_correction_bias") || name.find("experts.") != std::string::npos) continue;
    ASSERT_EQ(memory.optimizer.size(), size_t{1}) << name << " has no gradient";
    const auto* g = reinterpret_cast<const float*>(memory.optimizer[0].data());
    EXPECT_GT(l2({g, memory.optimizer[0].size() / sizeof(float)}), 0) << name;
  }
}

// Mixtures of experts against PyTorch, tensor by tensor, and with the load-balancing loss of transformers.
class ExpertGradients : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam()); }

  // Compares with norm, largest magnitude, first and last number of each tensor. The largest error of a norm.
  double compare(const json& wanted, double balance) {
    const std::filesystem::path folder = test::shared_data() / "golden-arch" / GetParam();
    Loaded model(folder);
    const json prompt = json::parse(test::read_text(folder / "golden.json"))["prompts"][0]["ids"];
    const test::TrainingBatch rows(json::array({prompt}));
    ThreadPool pool(2);
    TrainerOptions options;
    options.max_tokens = 64;
    options.balance = balance;
    options.optimizer = {.kind = OptimizerKind::kSgd, .beta1 = 0, .weight_decay = 0};
    auto made = Trainer::make(model.built.graph, *model.parameters, *find_cpu_kernels(), pool, options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (!made.ok()) return 1;
    Trainer& trainer = **made;
    Batch batch = rows.batch();
    trainer.begin(1);
    loss_ = trainer.accumulate(batch);
    if (const auto value = trainer.metric("balance"); !value.empty()) balance_ = value[0];
    trainer.apply(0, trainer.gradient_norm());  // the gradient is then what the optimizer remembers
    double worst = 0;
    for (const auto& [name, want] : wanted.items()) {
      const int at = model.parameters->index_of(name);
      EXPECT_GE(at, 0) << name;
      if (at < 0) continue;
      const Trainer::Memory& memory = trainer.memory()[static_cast<size_t>(at)];
      const std::span<const float> g{reinterpret_cast<const float*>(memory.optimizer[0].data()),
                                     memory.optimizer[0].size() / sizeof(float)};
      const double norm = want[0], largest = want[1];
      const double error = std::abs(l2(g) - norm) / std::max(norm, 1e-12);
      EXPECT_LE(error, 1e-4) << name;
      EXPECT_NEAR(g.front(), want[2].get<double>(), 1e-4 * largest) << name;
      EXPECT_NEAR(g.back(), want[3].get<double>(), 1e-4 * largest) << name;
      worst = std::max(worst, error);
    }
    return worst;
  }
  double loss_ = 0, balance_ = 0;
};

TEST_P(ExpertGradients, AreThoseOfPyTorch) {
  const json goldens = json::parse(test::read_text(test::source_dir() / "tests/data/train/moe_gradients.json"));
  const json& golden = goldens[GetParam()];
  const double worst = compare(golden["tensors"], 0);
  EXPECT_NEAR(loss_, golden["loss"].get<double>(), 1e-5);
  std::printf("%s: %zu tensors: largest relative error of a gradient's norm %.1e\n", GetParam(),
              golden["tensors"].size(), worst);
  if (!golden.contains("balance")) return;
  const double balanced = compare(golden["balanced"], 0.5);
  EXPECT_NEAR(balance_, golden["balance"].get<double>(), 1e-5);
  EXPECT_NEAR(loss_, golden["loss"].get<double>() + 0.5 * golden["balance"].get<double>(), 2e-5);
  std::printf("%s: load balancing %.5f, transformers %.5f; its gradients %.1e\n", GetParam(), balance_,
              golden["balance"].get<double>(), balanced);
}

INSTANTIATE_TEST_SUITE_P(Models, ExpertGradients, testing::Values("qwen3-moe", "deepseek-v3"),
                         [](const auto& tested) { return tested.param[0] == 'q' ? "qwen3_moe" : "deepseek_v3"; });

INSTANTIATE_TEST_SUITE_P(Models, WholeGradient,
                         testing::Values("mistral", "qwen2", "gemma2", "phi3-longrope", "gpt2", "gpt-oss", "olmo2",
                                         "qwen3-moe", "deepseek-v3"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

INSTANTIATE_TEST_SUITE_P(Models, TrainerGolden, testing::Values("llama", "qwen3", "mixtral"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace strata
