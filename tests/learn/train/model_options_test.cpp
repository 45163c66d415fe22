// Runs of models with options: shared layers, exits, experts.
#include <gtest/gtest.h>

#include "model/format/checkpoint.h"
#include "model/model.h"
#include "run_fixture.h"

namespace strata {
namespace {

class ModelOptions : public RunFixture {
 protected:
  static std::string with(std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
  }
};

TEST_F(ModelOptions, LayersThatShareWeightsAreStoredOnceAndOpenEverywhere) {
  const std::string four = with(recipe(), "num_hidden_layers: 2", "num_hidden_layers: 4");
  ASSERT_TRUE(run(four, "plain").ok());
  const std::string shared = with(with(four, "num_hidden_layers: 4", "num_hidden_layers: 4, shared_layers: 2"),
                                  "seed: 3", "beside: plain, seed: 3");
  const auto result = run(shared, "shared");
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_LT(result->loss, 4.5);
  const Checkpoint stored = *Checkpoint::open(folder_ / "shared");
  EXPECT_NE(stored.find("model.layers.2.mlp.up_proj.weight"), nullptr);
  EXPECT_EQ(stored.find("model.layers.1.mlp.up_proj.weight"), nullptr);
  EXPECT_EQ(stored.find("model.layers.3.mlp.up_proj.weight"), nullptr);
  const auto model = Model::load(folder_ / "shared");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto tensor_of = [&](const std::string& name) {
    return (*model)->graph().node((*model)->graph().find(NodeKind::kWeight, name)).weight.parts[0].tensor;
  };
  EXPECT_EQ(tensor_of("model.layers.3.mlp.up_proj.weight"), "model.layers.2.mlp.up_proj.weight");
  EXPECT_EQ(tensor_of("model.layers.1.input_layernorm.weight"), "model.layers.0.input_layernorm.weight");
  // GGUF has every layer, for programs that know nothing of sharing, each with the numbers of the one it shares.
  const Checkpoint gguf = *Checkpoint::open(folder_ / "shared/model.gguf");
  const TensorInfo* first = gguf.find("model.layers.2.mlp.up_proj.weight");
  const TensorInfo* second = gguf.find("model.layers.3.mlp.up_proj.weight");
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_TRUE(std::ranges::equal(first->data, second->data));
  EXPECT_TRUE(Model::load(folder_ / "shared/model.gguf").ok());
  EXPECT_NE(said_.find("validation loss "), std::string::npos) << said_;
  EXPECT_NE(said_.find(" %)"), std::string::npos) << said_;
  EXPECT_EQ(log("shared").back()["validation_loss_beside"], log("plain").back()["validation_loss"]);
  const auto many = run(with(four, "num_hidden_layers: 4", "num_hidden_layers: 4, shared_layers: 5"), "fault");
  EXPECT_NE(many.status().message().find("shared_layers is 5, expected 1 to 4"), std::string::npos)
      << many.status().message();
}

TEST_F(ModelOptions, ResumingChangesNoBitWithAllOfThem) {
  const std::string text =
      with(with(recipe(), "num_hidden_layers: 2", "num_hidden_layers: 4, shared_layers: 3, exits: [0, 2]"),
           "optimizer:", "loss: {exits: [0.5, 0.25]}\noptimizer:");
  const auto whole = run(text, "whole", false, 1);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  run_until(text, "killed", 8, false, 3);
  ASSERT_TRUE(run(text, "killed", true, 2).ok());
  for (const char* file : {"model.safetensors", "checkpoint.safetensors"})
    EXPECT_TRUE(bytes("whole", file) == bytes("killed", file)) << file;
}

TEST_F(ModelOptions, ExitsLearnAndAreInTheFolder) {
  const std::string text = with(recipe(), "num_hidden_layers: 2", "num_hidden_layers: 2, exits: [0]");
  const auto result = run(text, "out");
  ASSERT_TRUE(result.ok()) << result.status().message();
  const nlohmann::json first = log("out")[5], last = log("out").back();
  EXPECT_LT(last["validation_loss.exit.0"], first["validation_loss.exit.0"]);
  EXPECT_GT(last["validation_loss.exit.0"], last["validation_loss"].get<double>() - 0.2);
  EXPECT_GT(last["loss"], last["validation_loss"].get<double>() * 1.5);  // both exits, 1 each
  const auto model = Model::load(folder_ / "out");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_TRUE((*model)->graph().find_tap("exit.0").valid());
  EXPECT_NE((*model)->checkpoint().find("exits.0.norm.weight"), nullptr);
  EXPECT_TRUE(Model::load(folder_ / "out/model.gguf").ok());
  struct Fault {
    std::string exits, loss, message;
  };
  for (const Fault& fault : {Fault{"[2]", "1", "there can be no exit after layer 2"},
                             {"[0, 0]", "[1, 1]", "there can be no exit after layer 0"},
                             {"[0]", "[1, 2]", "loss.exits: 2 weights, the model has 1 exits"},
                             {"[0]", "[much]", "loss.exits: expected a number"}}) {
    const std::string exits = with(recipe(), "num_hidden_layers: 2", "num_hidden_layers: 2, exits: " + fault.exits);
    const std::string wrong = with(exits, "optimizer:", "loss: {exits: " + fault.loss + "}\noptimizer:");
    const auto refused = run(wrong, "fault");
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.status().message().find(fault.message), std::string::npos) << refused.status().message();
    fs::remove_all(folder_ / "fault");
  }
}

TEST_F(ModelOptions, ExpertsAreBalanced) {
  const std::string experts =
      with(recipe(), "architecture: LlamaForCausalLM",
           "architecture: MixtralForCausalLM, num_local_experts: 6, num_experts_per_tok: 2, initializer_range: 0.2");
  const auto free = run(experts, "free");
  ASSERT_TRUE(free.ok()) << free.status().message();
  const auto even = run(with(experts, "optimizer:", "loss: {balance: 0.5}\noptimizer:"), "even");
  ASSERT_TRUE(even.ok()) << even.status().message();
  EXPECT_LT(log("even").back()["balance"], log("free").back()["balance"].get<double>());
  EXPECT_LT(log("even").back()["balance"], 2.3);  // 2 where it is even
  EXPECT_GE(log("even").back()["busiest_expert"], 1);
  const auto dense = run(with(recipe(), "optimizer:", "loss: {balance: 0.5}\noptimizer:"), "dense");
  EXPECT_NE(dense.status().message().find("this model has no experts"), std::string::npos) << dense.status().message();
}

}  // namespace
}  // namespace strata
