// Training of models with narrower ones inside.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "learn/train/trainer.h"
#include "model/format/quantize.h"
#include "model/model.h"
#include "model/width.h"
#include "run_fixture.h"
#include "support/model_fixture.h"
#include "support/training_batch.h"

namespace strata {
namespace {

using nlohmann::json;

class Widths : public RunFixture {
 protected:
  static std::string with(std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
  }
  static std::string nested(const std::string& fields = "architecture: Qwen3ForCausalLM, head_dim: 8") {
    return recipe(fields + ", widths: [16, 32]");
  }
};

TEST_F(Widths, EachLearnsAndIsAModelByItself) {
  const auto result = run(nested(), "out");
  ASSERT_TRUE(result.ok()) << result.status().message();
  const std::vector<json> lines = log("out");
  for (size_t step = 0; step < lines.size(); ++step) {  // one after the other
    EXPECT_EQ(lines[step].contains("loss.width.16"), step % 2 == 0) << lines[step];
    EXPECT_EQ(lines[step].contains("loss.width.32"), step % 2 == 1) << lines[step];
  }
  for (const char* of_width : {"validation_loss.width.16", "validation_loss.width.32"}) {
    EXPECT_LT(lines.back()[of_width], lines[5][of_width].get<double>());
    EXPECT_LT(lines.back()[of_width], lines.back()["validation_loss"].get<double>() + 0.5);
  }
  EXPECT_EQ(json::parse(bytes("out", "config.json"))["widths"], json::array({16, 32}));

  // The exported file gives what the pass gives; further training of it starts where it is.
  ThreadPool pool(2);
  const Checkpoint narrow = *checkpoint_at_width(*Checkpoint::open(folder_ / "out"), 16);
  ASSERT_TRUE(quantize_checkpoint(narrow, folder_ / "narrow.gguf", "F32", pool).ok());
  test::ModelFixture whole(folder_ / "out", {.isa = std::string(find_cpu_kernels()->name)});
  test::ModelFixture file(folder_ / "narrow.gguf", {.isa = std::string(find_cpu_kernels()->name)});
  ASSERT_TRUE(whole.ok() && file.ok());
  const Graph graph = *graph_at_width(whole.graph(), whole.config().widths, 16);
  whole.use(lower_for_inference(graph, whole.kernels(), DType::kF32));
  const std::vector<int32_t> prompt = {3, 1, 4, 1, 5, 9, 2, 6};
  EXPECT_EQ(whole.prefill(prompt, 8), file.prefill(prompt, 8));
}

TEST_F(Widths, ANarrowModelIsABase) {
  ASSERT_TRUE(run(nested(), "out").ok());
  const std::string text =
      "model: {base: out, width: 32}\n"
      "data: {paths: text.txt, validation: 0.1, block_bytes: 1024, shuffle_blocks: 2}\n"
      "optimizer: {weight_decay: 0}\n"
      "schedule: {peak: 0, steps: 2}\n"
      "run: {seed: 3, context: 24, batch_tokens: 128, micro_tokens: 64}\n";
  const auto narrow = run(text, "narrow");
  ASSERT_TRUE(narrow.ok()) << narrow.status().message();
  const json config = json::parse(bytes("narrow", "config.json"));
  EXPECT_EQ(config["intermediate_size"], 32);
  EXPECT_EQ(config["widths"], json::array({16}));
  // Nothing was learned: the weights are the slice of the first run's average, whose losses are as good as its own.
  const auto model = Model::load(folder_ / "narrow"), sliced = Model::load(folder_ / "out", 32);
  ASSERT_TRUE(model.ok() && sliced.ok()) << model.status().message() << sliced.status().message();
  const TensorInfo* down = (*model)->checkpoint().find("model.layers.1.mlp.down_proj.weight");
  const TensorInfo* whole = (*sliced)->checkpoint().find("model.layers.1.mlp.down_proj.weight");
  ASSERT_TRUE(down != nullptr && whole != nullptr);
  EXPECT_EQ(down->shape, (std::vector<int64_t>{32, 32}));
  EXPECT_EQ(std::memcmp(down->data.data() + 128, whole->data.data() + 192, 128), 0);  // their second rows
  // And a base gets narrower models inside where the recipe says so.
  const auto again = run(with(with(text, "width: 32", "widths: [8, 40]"), "peak: 0", "peak: 1e-3"), "again");
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(json::parse(bytes("again", "config.json"))["widths"], json::array({8, 40}));
  EXPECT_TRUE(log("again").back().contains("validation_loss.width.40"));
}

TEST_F(Widths, ResumingChangesNoBitWithAnyPrecisionAndKind) {
  const std::string options = with(nested("architecture: LlamaForCausalLM, shared_layers: 1, exits: [0]"),
                                   "optimizer:", "loss: {widths: [0.5, 2], exits: [0.3]}\noptimizer:");
  const std::string experts =
      with(nested("architecture: MixtralForCausalLM, num_local_experts: 4, num_experts_per_tok: 2"),
           "optimizer:", "loss: {balance: 0.1}\noptimizer:");
  int n = 0;
  for (const std::string& text : {options, experts, with(nested(), "seed: 3", "precision: bf16, seed: 3")}) {
    const std::string whole = "whole" + std::to_string(n), killed = "killed" + std::to_string(n);
    ++n;
    const auto undisturbed = run(text, whole, false, 1);
    ASSERT_TRUE(undisturbed.ok()) << undisturbed.status().message();
    EXPECT_LT(log(whole).back()["validation_loss.width.16"], log(whole)[5]["validation_loss.width.16"].get<double>());
    run_until(text, killed, 8, false, 3);
    ASSERT_TRUE(run(text, killed, true, 2).ok());
    for (const char* file : {"model.safetensors", "checkpoint.safetensors"})
      EXPECT_TRUE(bytes(whole, file) == bytes(killed, file)) << file << " of " << text;
  }
}

TEST_F(Widths, WithLittleMemoryTheNumbersAreTheSame) {
  const std::string text = with(nested(), "num_hidden_layers: 2", "num_hidden_layers: 4");
  ASSERT_TRUE(run(text, "plenty").ok());
  const auto refused = run(text, "refused", false, 2, {}, 1000);
  const std::string message = refused.status().message();
  const size_t at = message.find("needs at least ");
  ASSERT_NE(at, std::string::npos) << message;
  const uint64_t least = std::stoull(message.substr(at + 15));
  ASSERT_TRUE(run(text, "little", false, 2, {}, least).ok());
  EXPECT_TRUE(bytes("plenty", "model.safetensors") == bytes("little", "model.safetensors"));
}

TEST_F(Widths, LearnFromAnotherModelToo) {
  ASSERT_TRUE(run(recipe(), "teacher").ok());
  std::string text = with(nested("architecture: LlamaForCausalLM"), "tokenizer: {vocab: 290}",
                          "tokenizer: {path: teacher}\ndistill: {teacher: teacher, layers: [1, 1]}");
  const auto result = run(text, "student");
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_LT(log("student").back()["loss.width.32"], log("student")[1]["loss.width.32"].get<double>());
}

TEST_F(Widths, SayWhatIsWrong) {
  ASSERT_TRUE(run(recipe(), "plain").ok());
  const std::string base =
      "model: {base: plain, OPTIONS}\n"
      "data: {paths: text.txt, validation: 0.1, block_bytes: 1024}\n"
      "run: {context: 24, batch_tokens: 64}\n";
  const auto of_new = [](const std::string& widths) {
    return recipe("architecture: LlamaForCausalLM, widths: " + widths);
  };
  struct Fault {
    std::string recipe, message;
  };
  const std::vector<Fault> faults = {
      {of_new("[32, 16]"), "expected ascending numbers between 0 and 48 (intermediate_size)"},
      {of_new("[16, 48]"), "expected ascending numbers between 0 and 48"},
      {of_new("[0, 16]"), "expected ascending numbers between 0 and 48"},
      {of_new("[16, much]"), "widths"},
      {of_new("16"), "widths"},
      {with(of_new("[16]"), "optimizer:", "loss: {widths: [1, 2]}\noptimizer:"),
       "loss.widths: 2 weights, the model has 1"},
      {with(recipe(), "optimizer:", "loss: {widths: [1]}\noptimizer:"), "loss.widths: 1 weights, the model has 0"},
      {with(of_new("[16]"), "optimizer:", "loss: {widths: [-1]}\noptimizer:"), "loss.widths: expected numbers from 0"},
      {with(base, "OPTIONS", "width: 16"), "the model has no narrower one inside"},
      {with(base, "OPTIONS", "widths: [64]"), "expected ascending numbers between 0 and 48"},
      {with(base, "OPTIONS", "widths: [16]}\nlora: {rank: 4"), "an adapter is trained for its base as it is"}};
  for (const Fault& fault : faults) {
    const auto refused = run(fault.recipe, "fault");
    ASSERT_FALSE(refused.ok()) << fault.message;
    EXPECT_NE(refused.status().message().find(fault.message), std::string::npos) << refused.status().message();
    fs::remove_all(folder_ / "fault");
  }
}

// A model's numbers, trained or not, in a trainer of plain gradient steps.
struct Trained {
  Trained(const Checkpoint& checkpoint, ThreadPool& pool, TrainerOptions options = {})
      : built(*build_model(checkpoint)), parameters(*Parameters::copy(built.graph, CheckpointWeights(checkpoint))) {
    options.max_tokens = 64;
    options.optimizer.kind = OptimizerKind::kSgd;
    options.optimizer.beta1 = 0;
    options.optimizer.weight_decay = 0;
    trainer = *Trainer::make(built.graph, parameters, *find_cpu_kernels(), pool, options);
  }
  std::vector<float> step(const Batch& batch, const std::string& tensor) {
    const auto values = parameters.all()[static_cast<size_t>(parameters.index_of(tensor))].values();
    std::vector<float> change(values.begin(), values.end());
    trainer->begin(1);
    trainer->accumulate(batch);
    trainer->apply(1, 1);
    for (size_t i = 0; i < change.size(); ++i) change[i] -= values[i];
    return change;
  }
  BuiltModel built;
  Parameters parameters;
  std::unique_ptr<Trainer> trainer;
};

// What one step changes is the sum of what it changes in the whole and in the narrow model, trained apart.
TEST_F(Widths, GradientsAreThoseOfModelsTrainedApart) {
  ASSERT_TRUE(
      run(nested("architecture: MixtralForCausalLM, num_local_experts: 2, num_experts_per_tok: 2"), "out").ok());
  const Checkpoint whole = *Checkpoint::open(folder_ / "out");
  const Checkpoint narrow = *checkpoint_at_width(*Checkpoint::open(folder_ / "out"), 16);
  const test::TrainingBatch rows(json::array({json::array({1, 5, 9, 2, 6, 5, 3, 5}), json::array({8, 9, 7, 9, 3})}));
  ThreadPool pool(2);
  TrainerOptions options;
  options.widths = build_model(whole)->config.widths;
  options.width_weights = {0.5, 0.25};
  const std::string experts = "model.layers.1.block_sparse_moe.experts.1.";
  for (const std::string& tensor : {std::string("model.embed_tokens.weight"), std::string("model.norm.weight"),
                                    experts + "w1.weight", experts + "w2.weight", experts + "w3.weight"}) {
    Trained nested(whole, pool, options), apart(whole, pool), inside(narrow, pool);
    // Before anything changes, the narrow model's loss is the one that is evaluated here.
    EXPECT_EQ(nested.trainer->evaluate_narrow(0, rows.batch()), inside.trainer->evaluate(rows.batch()));
    EXPECT_EQ(nested.trainer->evaluate(rows.batch()), apart.trainer->evaluate(rows.batch()));
    const std::vector<float> got = nested.step(rows.batch(), tensor), a = apart.step(rows.batch(), tensor),
                             b = inside.step(rows.batch(), tensor);
    EXPECT_EQ(nested.trainer->narrow_loss()->width, 16);
    const auto columns = static_cast<size_t>(whole.find(tensor)->shape.back());
    const auto kept = static_cast<size_t>(narrow.find(tensor)->shape.back());
    float largest = 0, worst = 0;
    size_t at = 0;  // in the narrow model's
    for (size_t i = 0; i < a.size(); ++i) {
      const bool is_inside = i % columns < kept && i / columns < b.size() / kept;
      const float want = a[i] + (is_inside ? 0.5F * b[at++] : 0);
      largest = std::max(largest, std::abs(want));
      worst = std::max(worst, std::abs(want - got[i]));
    }
    EXPECT_EQ(at, b.size());
    EXPECT_GT(largest, 0) << tensor;
    EXPECT_LE(worst, 1e-5F * largest) << tensor;
  }
}

// The narrow models run in the memory of the whole one.
TEST_F(Widths, TakeTheActivationsOfTheWholeModelAlone) {
  ASSERT_TRUE(run(nested(), "out").ok());
  const Checkpoint whole = *Checkpoint::open(folder_ / "out");
  ThreadPool pool(2);
  TrainerOptions options;
  Trained plain(whole, pool, options);
  options.widths = build_model(whole)->config.widths;
  Trained nested(whole, pool, options);
  const uint64_t numbers = static_cast<uint64_t>(plain.parameters.count()) * sizeof(float);
  EXPECT_GE(nested.trainer->planned_bytes(), plain.trainer->planned_bytes() + numbers);  // sums of gradients
  EXPECT_LE(nested.trainer->planned_bytes(), plain.trainer->planned_bytes() + 3 * numbers);
}

}  // namespace
}  // namespace strata
