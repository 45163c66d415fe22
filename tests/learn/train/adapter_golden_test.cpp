// Training of LoRA adapters: against PEFT, and from the same model in other forms.
#include "learn/train/adapter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "learn/train/trainer.h"
#include "model/arch/architecture.h"
#include "model/checkpoint_weights.h"
#include "model/format/lora_adapter.h"
#include "model/format/quantize.h"
#include "support/training_batch.h"
#include "test_data.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<float> numbers_of(std::span<const std::byte> bytes) {
  const auto* begin = reinterpret_cast<const float*>(bytes.data());
  return {begin, begin + bytes.size() / sizeof(float)};
}

// "lora_a.model.layers.0.self_attn.q_proj.weight" -> as PEFT names it.
std::string peft_name(const std::string& parameter) {
  const std::string module = parameter.substr(7, parameter.size() - 14);
  return "base_model.model." + module + (parameter.starts_with("lora_a.") ? ".lora_A.weight" : ".lora_B.weight");
}

// A model with an adapter to train.
struct Adapted {
  Adapted(const fs::path& path, const AdapterOptions& adapter)
      : checkpoint(*Checkpoint::open(path)),
        weights(checkpoint),
        options(adapter),
        model(*adapt_model(build_model(checkpoint)->graph, checkpoint, adapter, 5)) {}

  void start_from(const fs::path& folder) {
    const Result<SafetensorsFile> file = SafetensorsFile::open(folder / "adapter_model.safetensors");
    ASSERT_TRUE(file.ok()) << file.status().message();
    for (Parameter& parameter : model.parameters.all()) {
      const SafetensorsTensor* tensor = file->find(peft_name(parameter.name));
      ASSERT_NE(tensor, nullptr) << parameter.name;
      const std::vector<float> numbers = numbers_of(tensor->data);
      ASSERT_EQ(numbers.size(), parameter.values().size());
      std::copy(numbers.begin(), numbers.end(), parameter.values().begin());
    }
  }

  std::unique_ptr<Trainer> trainer(ThreadPool& pool, const OptimizerOptions& optimizer) {
    TrainerOptions trainer_options;
    trainer_options.max_tokens = 64;
    trainer_options.optimizer = optimizer;
    trainer_options.frozen = &weights;
    auto made = Trainer::make(model.graph, model.parameters, *find_cpu_kernels(), pool, trainer_options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return std::move(*made);
  }

  // The gradient of every parameter.
  std::vector<std::vector<float>> gradients(ThreadPool& pool, const Batch& batch) {
    auto sgd = trainer(pool, {.kind = OptimizerKind::kSgd, .beta1 = 0, .weight_decay = 0});
    sgd->begin(1);
    sgd->accumulate(batch);
    sgd->apply(0, sgd->gradient_norm());
    std::vector<std::vector<float>> all;
    for (const Trainer::Memory& memory : sgd->memory())
      all.push_back(numbers_of({memory.optimizer[0].data(), memory.optimizer[0].size()}));
    return all;
  }

  std::vector<std::span<const float>> numbers() const {
    std::vector<std::span<const float>> all;
    for (const Parameter& parameter : model.parameters.all()) all.emplace_back(parameter.values());
    return all;
  }

  Checkpoint checkpoint;
  CheckpointWeights weights;
  AdapterOptions options;
  AdaptedModel model;
};

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(sum / norm);
}

class AdapterGolden : public testing::Test {
 protected:
  void SetUp() override {
    STRATA_REQUIRE_DATA("golden-arch/llama");
    base_ = test::shared_data() / "golden-arch/llama";
    golden_ = test::source_dir() / "tests/data/lora/training";
    batch_ = std::make_unique<test::TrainingBatch>(json::parse(test::read_text(golden_ / "train.json"))["ids"]);
    out_ = fs::path(testing::TempDir()) /
           ("adapter_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(out_);
  }
  void TearDown() override { fs::remove_all(out_); }

  // After so many steps of AdamW.
  std::vector<double> train(Adapted& adapted, int steps, int threads = 2) {
    ThreadPool pool(threads);
    auto trainer = adapted.trainer(pool, {.decays = DecayRule::kAll});
    std::vector<double> losses;
    for (int step = 0; step < steps; ++step) {
      trainer->begin(1);
      trainer->accumulate(batch_->batch());
      trainer->apply(1e-2, trainer->gradient_norm());
      losses.push_back(trainer->evaluate(batch_->batch()));
    }
    return losses;
  }

  fs::path quantized(const char* type) {
    ThreadPool pool(2);
    const fs::path path = out_ / (std::string(type) + ".gguf");
    const auto result = quantize_file(base_, path, type, pool);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return path;
  }

  fs::path base_, golden_, out_;
  std::unique_ptr<test::TrainingBatch> batch_;
};

TEST_F(AdapterGolden, GradientsAndFiveStepsOfAdamWAreLikePeft) {
  const json golden = json::parse(test::read_text(golden_ / "train.json"));
  const auto tensors = SafetensorsFile::open(golden_ / "train.safetensors");
  ASSERT_TRUE(tensors.ok()) << tensors.status().message();
  Adapted adapted(base_, {.rank = 2, .alpha = 3});
  adapted.start_from(golden_ / "start");
  ASSERT_EQ(adapted.model.parameters.all().size() * 2, tensors->tensors().size());
  ThreadPool pool(2);
  const auto gradients = adapted.gradients(pool, batch_->batch());
  double worst_gradient = 0, worst_loss = 0, worst_factor = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const std::string name = peft_name(adapted.model.parameters.all()[i].name);
    const double error = distance(gradients[i], numbers_of(tensors->find(name)->data));
    EXPECT_LE(error, 1e-4) << name;
    worst_gradient = std::max(worst_gradient, error);
  }
  const std::vector<double> losses = train(adapted, 5);
  for (size_t step = 0; step < losses.size(); ++step) {
    const double error = std::abs(losses[step] - golden["loss_after"][step].get<double>());
    EXPECT_LE(error, 1e-5) << "after step " << step + 1;
    worst_loss = std::max(worst_loss, error);
  }
  for (const Parameter& parameter : adapted.model.parameters.all()) {
    const auto* want = tensors->find("after." + peft_name(parameter.name));
    worst_factor = std::max(worst_factor, distance(parameter.values(), numbers_of(want->data)));
  }
  EXPECT_LE(worst_factor, 1e-4);
  std::printf("LoRA, 5 AdamW steps: largest error of a gradient %.1e (relative), of the loss %.1e, of a factor %.1e\n",
              worst_gradient, worst_loss, worst_factor);
}

TEST_F(AdapterGolden, OnlyTheFactorsHaveGradientsAndMemory) {
  Adapted adapted(base_, {.rank = 2, .alpha = 3, .targets = {"q_proj"}});
  ThreadPool pool(1);
  const auto trainer = adapted.trainer(pool, {});
  for (const PlanStep& step : trainer->plan().steps()) {
    EXPECT_NE(step.op, "head_loss_dw");
    EXPECT_NE(step.op, "rms_norm_dw");
    EXPECT_NE(step.op, "embed_grad");
    if (step.op == "matmul_dw") {
      EXPECT_TRUE(step.out[0].type.last() == Dim(2) || step.out[0].type.shape[0] == Dim(2));
    }
  }
  for (const Parameter& parameter : adapted.model.parameters.all())
    EXPECT_NE(parameter.name.find("q_proj"), std::string::npos) << parameter.name;
}

// GGUF has the rows of q and k in another order: the adapter is the same all the same.
TEST_F(AdapterGolden, FromGgufIsTheAdapterFromTheFolder) {
  const AdapterOptions options{.rank = 2, .alpha = 3, .targets = {"q_proj", "k_proj", "v_proj", "down_proj"}};
  Adapted folder(base_, options);
  Adapted gguf(quantized("F32"), options);
  const std::vector<double> losses = train(folder, 5), others = train(gguf, 5);
  EXPECT_LT(losses.back(), losses.front() - 0.5);
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], others[i], 1e-5);
  for (const auto& [adapted, name] : {std::pair(&folder, "folder"), std::pair(&gguf, "gguf")}) {
    fs::create_directories(out_ / name);
    ASSERT_TRUE(
        save_adapter(out_ / name, adapted->model.adapters, adapted->checkpoint, options, adapted->numbers()).ok());
  }
  const auto one = LoraAdapter::open(out_ / "folder"), other = LoraAdapter::open(out_ / "gguf");
  ASSERT_TRUE(one.ok()) << one.status().message();
  ASSERT_TRUE(other.ok()) << other.status().message();
  EXPECT_EQ(one->rank(), 2);
  EXPECT_EQ(one->target_modules(), options.targets);
  ASSERT_EQ(one->pairs().size(), 16u);
  for (const auto& [weight, pair] : one->pairs()) {
    EXPECT_FLOAT_EQ(pair.scale, 1.5F);
    EXPECT_LE(distance(numbers_of(other->find(weight)->b.data), numbers_of(pair.b.data)), 1e-3) << weight;
  }
}

// Quantized weights stay packed: the gradient is that of the numbers they stand for, computed with rounded activations.
TEST_F(AdapterGolden, OfQuantizedWeightsLearns) {
  for (const char* type : {"Q8_0", "Q4_0", "BF16", "F16"}) {
    const fs::path path = quantized(type);
    Adapted adapted(path, {.rank = 2, .alpha = 3});
    adapted.start_from(golden_ / "start");
    ThreadPool pool(2);
    const auto gradients = adapted.gradients(pool, batch_->batch());
    const auto unpacked = quantize_file(path, out_ / "numbers.gguf", "F32", pool);
    ASSERT_TRUE(unpacked.ok()) << unpacked.status().message();
    Adapted numbers(out_ / "numbers.gguf", {.rank = 2, .alpha = 3});
    numbers.start_from(golden_ / "start");
    const auto exact = numbers.gradients(pool, batch_->batch());
    double worst = 0;
    for (size_t i = 0; i < gradients.size(); ++i) worst = std::max(worst, distance(gradients[i], exact[i]));
    EXPECT_LE(worst, std::string(type).starts_with("Q") ? 0.15 : 0.04) << type;  // the model has huge weights
    const std::vector<double> losses = train(adapted, 5);
    EXPECT_LT(losses.back(), losses.front() - 1) << type;
    std::printf("%s: largest error of a gradient %.1e (relative)\n", type, worst);
  }
}

TEST_F(AdapterGolden, ThreadsChangeNoBit) {
  const fs::path path = quantized("Q8_0");
  Adapted one(path, {.rank = 3}), other(path, {.rank = 3});
  EXPECT_EQ(train(one, 3, 1), train(other, 3, 3));
  for (size_t i = 0; i < one.numbers().size(); ++i)
    EXPECT_TRUE(std::equal(one.numbers()[i].begin(), one.numbers()[i].end(), other.numbers()[i].begin()));
}

TEST_F(AdapterGolden, AnUnknownTargetIsNamed) {
  const Checkpoint checkpoint = *Checkpoint::open(base_);
  const auto adapted = adapt_model(build_model(checkpoint)->graph, checkpoint, {.targets = {"q_proj", "c_attn"}}, 1);
  ASSERT_FALSE(adapted.ok());
  EXPECT_NE(adapted.status().message().find("no linear layer \"c_attn\" (known: all-linear, down_proj"),
            std::string::npos)
      << adapted.status().message();
}

}  // namespace
}  // namespace strata
