// Proof (i) of the graph: the backward pass of a whole model, made by one pass, against PyTorch's gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "compute/graph/passes/add_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/verify.h"
#include "model/format/safetensors.h"
#include "support/model_fixture.h"
#include "support/training_batch.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

double l2_norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  return std::sqrt(sum);
}

// The gradient of a parameter under its published name. Those of a layer's experts are one stack:
// "mlp.experts.3.w1.weight" is the fourth of "mlp.experts.w1.weight".
std::span<const float> gradient_of(ExecutionContext& context, const Graph& graph, const std::string& name) {
  const std::span<const float> whole = context.output("grad." + name);
  const size_t at = name.find(".experts.");
  if (!whole.empty() || at == std::string::npos) return whole;
  const size_t number = at + std::string_view(".experts.").size();
  const size_t end = name.find('.', number);
  const std::string stacked = name.substr(0, number) + name.substr(end + 1);
  const Value weight = graph.find(NodeKind::kWeight, stacked);
  if (!weight.valid()) return {};
  const auto n_experts = static_cast<size_t>(graph.type(weight).shape[0].factor);
  const std::span<const float> stack = context.output("grad." + stacked);
  const size_t size = stack.size() / n_experts;
  return stack.subspan(std::stoul(name.substr(number, end - number)) * size, size);
}

struct Case {
  std::string model;
  std::string isa;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model : {"llama", "qwen3", "mixtral"}) {
    for (const char* isa : {"reference", "generic", "avx2", "avx512"}) {
      if (find_cpu_kernels(isa) != nullptr) all.push_back({model, isa});
    }
  }
  return all;
}

class Differentiate : public testing::TestWithParam<Case> {};

TEST_P(Differentiate, GradientsOfGoldenModel) {
  const std::string name_of_folder = "golden-arch/" + GetParam().model;
  const std::filesystem::path folder = test::shared_data() / name_of_folder;
  STRATA_REQUIRE_DATA(name_of_folder);
  test::RunOptions options;
  options.isa = GetParam().isa;
  test::ModelFixture model(folder, options);
  ASSERT_TRUE(model.ok());
  const Result<Graph> backward = differentiate(add_loss(model.graph()));
  ASSERT_TRUE(backward.ok()) << backward.status().message();
  const Graph lowered = fuse(lower_attention_segments(*backward));
  ASSERT_TRUE(verify(lowered).ok()) << verify(lowered).message();
  const auto plan = Plan::make(lowered, model.kernels(), model.binder(), test::maxima(64));
  ASSERT_TRUE(plan.ok()) << plan.status().message();

  const json golden = json::parse(test::read_text(folder / "train.json"));
  const test::TrainingBatch batch(golden["ids"]);
  ExecutionContext context(*plan, model.pool());
  context.run(batch.batch());
  EXPECT_NEAR(context.output("loss")[0], golden["loss"].get<double>(), 1e-5);
  double worst = 0;
  for (const auto& [name, norm] : golden["grad_norm"].items()) {
    const std::span<const float> gradient = gradient_of(context, model.graph(), name);
    ASSERT_FALSE(gradient.empty()) << name;
    const double error = std::abs(l2_norm(gradient) - norm.get<double>()) / norm.get<double>();
    worst = std::max(worst, error);
    EXPECT_LE(error, 1e-4) << name;
  }
  RecordProperty("worst_relative_norm_error", std::to_string(worst));

  const Result<SafetensorsFile> file = SafetensorsFile::open(folder / "train.safetensors");
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const auto& tensor : file->tensors()) {
    const auto* want = reinterpret_cast<const float*>(tensor.data.data());
    const std::span<float> got = context.output("grad." + tensor.name);
    ASSERT_EQ(got.size() * sizeof(float), tensor.data.size()) << tensor.name;
    double largest = 0;
    double difference = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(want[i])));
      difference = std::max(difference, std::abs(static_cast<double>(got[i]) - want[i]));
    }
    EXPECT_LE(difference, 1e-4 * largest) << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Differentiate, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.model + "_" + tested.param.isa; });

}  // namespace
}  // namespace strata
