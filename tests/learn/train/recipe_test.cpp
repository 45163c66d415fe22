#include "learn/train/recipe.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace strata {
namespace {

constexpr const char* kRecipe = R"(
model: {architecture: LlamaForCausalLM, hidden_size: 64, num_hidden_layers: 2, rope_scaling: {rope_type: linear, factor: 2.0}}
tokenizer: {kind: unigram, vocab: 300, special_tokens: [<|user|>]}
data: {paths: [a.txt, b], bad_records: skip, separator: none, validation: 0.1}
optimizer: {name: lion, weight_decay: 0.2, decays: all}
schedule: {name: wsd, peak: 2e-3, steps: 10, decay_steps: 3}
run: {seed: 5, context: 32, batch_tokens: 64, micro_tokens: 32}
)";

TEST(Recipe, IsReadWithItsPathsBesideTheFile) {
  const Result<Recipe> recipe = parse_recipe(kRecipe, "/somewhere");
  ASSERT_TRUE(recipe.ok()) << recipe.status().message();
  const auto config = nlohmann::json::parse(recipe->config_json);
  EXPECT_EQ(config["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(config["hidden_size"], 64);
  EXPECT_EQ(config["rope_scaling"]["factor"], 2.0);
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(recipe->new_tokenizer->kind, TokenizerKind::kUnigram);
  EXPECT_EQ(recipe->new_tokenizer->special_tokens, std::vector<std::string>{"<|user|>"});
  EXPECT_EQ(recipe->corpus.paths[1], "/somewhere/b");
  EXPECT_TRUE(recipe->corpus.skips_faults);
  EXPECT_FALSE(recipe->corpus.separator.has_value());
  EXPECT_EQ(recipe->optimizer.kind, OptimizerKind::kLion);
  EXPECT_EQ(recipe->optimizer.beta2, 0.99);
  EXPECT_EQ(recipe->optimizer.decays, DecayRule::kAll);
  EXPECT_EQ(recipe->schedule.kind, ScheduleKind::kWsd);
  EXPECT_EQ(recipe->schedule.peak, 2e-3);
  EXPECT_EQ(recipe->batch_tokens, 64);
  EXPECT_EQ(recipe->seed, 5u);
}

struct Fault {
  const char* from;
  const char* to;
  const char* message;
};

TEST(Recipe, AnAdapterWantsABase) {
  const std::string rest = "data: {paths: a.txt}\nlora: {rank: 4, targets: [q_proj, v_proj]}\n";
  const Result<Recipe> recipe = parse_recipe("model: {base: model.gguf}\n" + rest, "/there");
  ASSERT_TRUE(recipe.ok()) << recipe.status().message();
  EXPECT_EQ(recipe->base, "/there/model.gguf");
  ASSERT_TRUE(recipe->lora.has_value());
  EXPECT_EQ(recipe->lora->rank, 4);
  EXPECT_EQ(recipe->lora->alpha, 8);
  EXPECT_EQ(recipe->lora->targets, (std::vector<std::string>{"q_proj", "v_proj"}));
  const auto plain = parse_recipe("model: {base: m}\ndata: {paths: a.txt}\nlora:\n", "/");
  ASSERT_TRUE(plain.ok()) << plain.status().message();
  EXPECT_EQ(plain->lora->targets, std::vector<std::string>{"all-linear"});
  EXPECT_FALSE(parse_recipe("model: {base: m}\ndata: {paths: a.txt}\n", "/")->lora.has_value());
  const auto fault = [&](const std::string& text) { return parse_recipe(text, "/").status().message(); };
  EXPECT_NE(fault("model: {architecture: LlamaForCausalLM}\n" + rest).find("give model.base"), std::string::npos);
  EXPECT_NE(fault("model: {base: m}\ndata: {paths: a}\nlora: {rnk: 4}\n").find("nearest known is \"rank\""),
            std::string::npos);
  EXPECT_NE(fault("model: {base: m}\ndata: {paths: a}\nlora: {rank: 0}\n").find("lora.rank: expected 1 to"),
            std::string::npos);
}

TEST(Recipe, FaultsNameTheKey) {
  for (const Fault& fault : {
           Fault{"weight_decay", "wieght_decay",
                 "optimizer: unknown key \"wieght_decay\" (the nearest known is \"weight_decay\")"},
           {"schedule:", "shedule:", "unknown key \"shedule\" (the nearest known is \"schedule\")"},
           {"steps: 10", "steps: ten", "schedule.steps: expected a whole number, got \"ten\""},
           {"steps: 10", "steps: 0", "schedule.steps: expected 1 to"},
           {"name: wsd", "name: step", "schedule.name: no schedule named \"step\" (known: constant, cosine"},
           {"name: lion", "name: adam", "optimizer.name: no optimizer named \"adam\""},
           {"kind: unigram", "kind: words", "tokenizer.kind: no tokenizer named \"words\""},
           {"bad_records: skip", "bad_records: no", "data.bad_records: expected skip or fail"},
           {"validation: 0.1", "validation: 0.9", "data.validation: expected 0 to 0.5, got 0.9"},
           {"batch_tokens: 64", "batch_tokens: 65", "run.batch_tokens: 65 is no multiple of run.micro_tokens 32"},
           {"paths: [a.txt, b]", "paths: []", "data.paths: expected files or folders"},
           {"paths: [a.txt, b]", "paths: {a: b}", "data.paths: expected a value or a list"},
           {"architecture: LlamaForCausalLM, ", "", "model: expected base, or architecture"},
           {"seed: 5", "seed: [5]", "run.seed: expected one value"},
           {"seed: 5", "precision: fp16", "run.precision: no instruction set of this program multiplies fp16"},
           {"seed: 5", "precision: half", "run.precision: expected fp32 or bf16, got \"half\""},
           {"run: {", "run: [{", "not YAML"},
           {"micro_tokens: 32", "micro_tokens: 0", "run.micro_tokens: expected 1 to 1048576, got 0"},
           {"seed: 5", "recompute: some", "run.recompute: expected none, rows or layers, got \"some\""},
           {"hidden_size: 64", "initializer_range: -1", "model.initializer_range: expected 0 to 1000, got -1"},
           {"hidden_size: 64", "initializer_range: wide", "model.initializer_range: expected a number, got \"wide\""},
           {"hidden_size: 64", "hidden_size: 64, hidden_size: 32", "model: the key \"hidden_size\" is given twice"},
           {"seed: 5", "seed: 5, seed: 6", "run: the key \"seed\" is given twice"},
           {"run: {", "data: {paths: b}\nrun: {", "the key \"data\" is given twice"},
           {"hidden_size: 64", "{a: b}: 64", "model: a key is no text"},
           {"model: {", "model: &m {own: *m, ", "more nested or longer than any model's fields"},
           {"run: {", "---\nrun: {", "has several documents"},
       }) {
    std::string text = kRecipe;
    ASSERT_NE(text.find(fault.from), std::string::npos) << fault.from;
    text.replace(text.find(fault.from), std::string(fault.from).size(), fault.to);
    const Result<Recipe> recipe = parse_recipe(text, "/");
    ASSERT_FALSE(recipe.ok()) << fault.to;
    EXPECT_NE(recipe.status().message().find(fault.message), std::string::npos) << recipe.status().message();
  }
  std::string bomb = "model:\n  architecture: A\n  a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string one = "*" + std::string(1, static_cast<char>(c - 1));
    bomb += "  " + std::string(1, c) + ": &" + c + " [" + one;
    for (int i = 0; i < 8; ++i) bomb += ", " + one;
    bomb += "]\n";
  }
  EXPECT_NE(parse_recipe(bomb, "/").status().message().find("longer than any model's fields"), std::string::npos);
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    std::string deep = "model: ";
    for (int i = 0; i < 20000; ++i) deep += open;
    EXPECT_FALSE(parse_recipe(deep, "/").ok()) << open;
  }
  EXPECT_FALSE(parse_recipe("", "/").ok());
  EXPECT_FALSE(parse_recipe("5", "/").ok());
  EXPECT_FALSE(parse_recipe("model: {architecture: \"\xFF\"}", "/").ok());
  EXPECT_EQ(read_recipe("/nowhere/recipe.yaml").status().code(), Code::kNotFound);
  EXPECT_NE(read_recipe("/").status().message().find("is a folder (give a recipe"), std::string::npos);
}

}  // namespace
}  // namespace strata
