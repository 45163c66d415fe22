// Whole runs of a tiny model.
#include "learn/train/run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "learn/train/run_folder.h"
#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "model/format/lora_adapter.h"
#include "model/format/quantize.h"
#include "model/format/safetensors.h"
#include "model/format/safetensors_writer.h"
#include "model/model.h"
#include "run_fixture.h"

namespace strata {
namespace {

using RunTest = RunFixture;

TEST_F(RunTest, LearnsAndGivesAModelThatLoads) {
  const Result<RunResult> result = run(recipe(), "out");
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->steps, 12);
  EXPECT_LT(result->loss, 4.5);  // log(290) is 5.7
  EXPECT_GT(result->validation_loss, 0);
  for (const char* name : {"out", "out/model.gguf"}) {
    const auto model = Model::load(folder_ / name);
    ASSERT_TRUE(model.ok()) << name << ": " << model.status().message();
    ASSERT_NE((*model)->tokenizer(), nullptr);
    EXPECT_EQ((*model)->tokenizer()->vocab_size(), 290);
  }
  std::istringstream log(bytes("out", "log.jsonl"));
  int64_t lines = 0, validated = 0;
  double first = 0, last = 0;
  for (std::string line; std::getline(log, line); ++lines) {
    const auto object = nlohmann::json::parse(line);
    EXPECT_EQ(object["step"], lines + 1);
    last = object["loss"];
    if (lines == 0) first = last;
    if (object.contains("validation_loss")) ++validated;
  }
  EXPECT_EQ(lines, 12);
  EXPECT_EQ(validated, 2);
  EXPECT_NEAR(first, std::log(290.0), 0.1);
  EXPECT_NE(bytes("out", "loss.svg").find("<polyline"), std::string::npos);
}

TEST_F(RunTest, OfEveryArchitectureThatHasTheseSizesBegins) {
  for (const char* architecture : {"Qwen3ForCausalLM", "MistralForCausalLM", "Gemma2ForCausalLM", "Olmo2ForCausalLM",
                                   "GPT2LMHeadModel", "StableLmForCausalLM"}) {
    std::string text = recipe("architecture: " + std::string(architecture) + ", head_dim: 8");
    if (std::string(architecture) == "GPT2LMHeadModel") {
      text = recipe("architecture: GPT2LMHeadModel");
      text.replace(text.find("intermediate_size"), 17, "n_inner");
      text.replace(text.find(", num_key_value_heads: 2"), 24, "");
    }
    text.replace(text.find("steps: 12"), 9, "steps: 2");
    const Result<RunResult> result = run(text, architecture);
    ASSERT_TRUE(result.ok()) << architecture << ": " << result.status().message();
    EXPECT_NEAR(result->loss, std::log(290.0), 0.6) << architecture;
  }
}

TEST_F(RunTest, KilledAnywhereAndResumedEndsWithTheSameBits) {
  ASSERT_TRUE(run(recipe(), "whole").ok());
  run_until(recipe(), "killed", 3, false, 1);  // before the first checkpoint
  EXPECT_FALSE(fs::exists(folder_ / "killed/checkpoint.safetensors"));
  run_until(recipe(), "killed", 8, true, 2);
  EXPECT_TRUE(fs::exists(folder_ / "killed/checkpoint.safetensors"));
  run_until(recipe(), "killed", 9, true, 3);
  std::ofstream(folder_ / "killed/checkpoint.safetensors.part-aB12cd") << "half";
  ASSERT_TRUE(run(recipe(), "killed", true, 1).ok());
  EXPECT_NE(said_.find("going on after step 5"), std::string::npos) << said_;
  for (const char* file : {"model.safetensors", "checkpoint.safetensors", "tokenizer.json", "config.json"})
    EXPECT_TRUE(bytes("whole", file) == bytes("killed", file)) << file;
  EXPECT_FALSE(fs::exists(folder_ / "killed/checkpoint.safetensors.part-aB12cd"));
  // Losses too; how fast it went differs.
  std::istringstream a(bytes("whole", "log.jsonl")), b(bytes("killed", "log.jsonl"));
  std::string one, other;
  while (std::getline(a, one) && std::getline(b, other)) {
    EXPECT_EQ(nlohmann::json::parse(one)["loss"], nlohmann::json::parse(other)["loss"]);
  }
  EXPECT_FALSE(std::getline(b, other));
}

TEST_F(RunTest, RecomputationChangesNoBitAndFitsTheMemory) {
  ASSERT_TRUE(run(recipe(), "plain").ok());
  EXPECT_EQ(said_.find("recompute"), std::string::npos) << said_;
  for (const char* rule : {"rows", "layers"}) {
    std::string text = recipe();
    text.replace(text.find("seed: 3"), 7, std::string("seed: 3, recompute: ") + rule);
    ASSERT_TRUE(run(text, rule, false, 3).ok());
    EXPECT_TRUE(bytes("plain", "model.safetensors") == bytes(rule, "model.safetensors")) << rule;
    EXPECT_NE(said_.find(" of layers 0: activations "), std::string::npos) << said_;
  }
  const auto none = run(recipe(), "none", false, 1, {}, 1000);
  ASSERT_FALSE(none.ok());
  const std::string why = none.status().message();
  EXPECT_NE(why.find("run.micro_tokens"), std::string::npos) << why;
  const uint64_t least = std::stoull(why.substr(why.find("at least ") + 9));
  ASSERT_TRUE(run(recipe(), "least", false, 1, {}, least).ok());
  EXPECT_TRUE(bytes("plain", "model.safetensors") == bytes("least", "model.safetensors"));
  EXPECT_NE(said_.find("all of layers 0"), std::string::npos) << said_;
  EXPECT_FALSE(run(recipe(), "less", false, 1, {}, least - 1).ok());
  said_.clear();
  ASSERT_TRUE(run(recipe(), "plenty", false, 1, {}, 1 << 30).ok());
  EXPECT_NE(said_.find("recompute: nothing: "), std::string::npos) << said_;
}

TEST_F(RunTest, AFolderIsWrittenByOneRunAtATimeAndKeptForOne) {
  ASSERT_TRUE(run(recipe(), "out").ok());
  const auto again = run(recipe(), "out");
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.status().message().find("--resume"), std::string::npos) << again.status().message();
  EXPECT_TRUE(run(recipe(), "out", true).ok());  // nothing is left to do
  const Result<RunFolder> held = RunFolder::open(folder_ / "out");
  ASSERT_TRUE(held.ok());
  const auto second = run(recipe(), "out", true);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("another run is writing"), std::string::npos) << second.status().message();
}

TEST_F(RunTest, AnotherRecipeOrShapeIsRefused) {
  ASSERT_TRUE(run(recipe(), "out").ok());
  const std::string config = bytes("out", "config.json");
  std::string wider = recipe();
  wider.replace(wider.find("hidden_size: 32"), 15, "hidden_size: 64");
  const auto shape = run(wider, "out", true);
  ASSERT_FALSE(shape.ok());
  EXPECT_NE(shape.status().message().find("[290, 32], the recipe's model has [290, 64]"), std::string::npos)
      << shape.status().message();
  std::string other = recipe();
  other.replace(other.find("seed: 3"), 7, "seed: 4");
  const auto seed = run(other, "out", true);
  ASSERT_FALSE(seed.ok());
  EXPECT_NE(seed.status().message().find("not the one that the run began with"), std::string::npos)
      << seed.status().message();
  EXPECT_EQ(bytes("out", "config.json"), config);
  std::ofstream(folder_ / "out/checkpoint.safetensors") << "broken";
  EXPECT_EQ(run(recipe(), "out", true).status().code(), Code::kDataLoss);
}

TEST_F(RunTest, AModelGoesOnFromAFolder) {
  ASSERT_TRUE(run(recipe(), "base").ok());
  const std::string text =
      "model: {base: base}\ndata: {paths: text.txt, validation: 0}\n"
      "schedule: {peak: 1e-4, steps: 2}\nrun: {context: 24, batch_tokens: 64}\n";
  const auto result = run(text, "tuned");
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_LT(result->loss, 4.5);
  EXPECT_EQ(result->validation_loss, 0);
  EXPECT_EQ(bytes("base", "tokenizer.json"), bytes("tuned", "tokenizer.json"));
  EXPECT_TRUE(Model::load(folder_ / "tuned").ok());
}

// All weights of a GGUF file: the same bits as of the folder that it was made of, and its tokenizer.
TEST_F(RunTest, AModelGoesOnFromAFile) {
  ASSERT_TRUE(run(recipe(), "base").ok());
  ThreadPool pool(1);
  ASSERT_TRUE(quantize_file(folder_ / "base", folder_ / "base.gguf", "F32", pool).ok());
  for (const std::string more : {"", ", layers: [1]"}) {
    const auto text = [&](const std::string& base) {
      return "model: {base: " + base + more +
             "}\ndata: {paths: text.txt}\nschedule: {peak: 1e-3, steps: 4}\n"
             "run: {context: 24, batch_tokens: 64, checkpoint_every: 1}\n";
    };
    ASSERT_TRUE(run(text("base"), "of_folder").ok());
    const auto result = run(text("base.gguf"), "of_file");
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(bytes("of_folder", "model.safetensors") == bytes("of_file", "model.safetensors"));
    EXPECT_EQ(bytes("base", "tokenizer.json"), bytes("of_file", "tokenizer.json"));
    for (const char* name : {"of_file", "of_file/model.gguf"}) {
      const auto model = Model::load(folder_ / name);
      ASSERT_TRUE(model.ok()) << model.status().message();
      ASSERT_NE((*model)->tokenizer(), nullptr);
      EXPECT_EQ((*model)->config().n_layers, more.empty() ? 2 : 1);
    }
    run_until(text("base.gguf"), "killed", 2, false, 1);
    ASSERT_TRUE(run(text("base.gguf"), "killed", true).ok());
    EXPECT_TRUE(bytes("killed", "model.safetensors") == bytes("of_file", "model.safetensors"));
    for (const char* out : {"of_folder", "of_file", "killed"}) fs::remove_all(folder_ / out);
  }
}

// One that another program made brings no tokenizer.json.
TEST_F(RunTest, AFileOfAnotherProgramGivesItsTokenizerOn) {
  ASSERT_TRUE(run(recipe(), "base").ok());
  const Checkpoint made = *Checkpoint::open(folder_ / "base/model.gguf");
  {
    auto writer = GgufWriter::create(folder_ / "other.gguf");
    for (const auto& [key, value] : made.gguf()->metadata()) {
      if (key != "tokenizer.huggingface.json") writer->add(key, value);
    }
    for (const GgufTensor& tensor : made.gguf()->tensors())
      ASSERT_TRUE(writer->declare_tensor(tensor.name, *tensor.type, tensor.shape).ok());
    ASSERT_TRUE(writer->begin_data().ok());
    for (const GgufTensor& tensor : made.gguf()->tensors()) ASSERT_TRUE(writer->write(tensor.data).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  const auto result = run(
      "model: {base: other.gguf}\ndata: {paths: text.txt}\nschedule: {steps: 1}\n"
      "run: {context: 24, batch_tokens: 64}\n",
      "tuned");
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_NE(said_.find("model.gguf alone has a tokenizer"), std::string::npos) << said_;
  EXPECT_FALSE(fs::exists(folder_ / "tuned/tokenizer.json"));
  const auto model = Model::load(folder_ / "tuned/model.gguf");
  ASSERT_TRUE(model.ok());
  ASSERT_NE((*model)->tokenizer(), nullptr);
  EXPECT_EQ((*model)->tokenizer()->vocab_size(), 290);
}

TEST_F(RunTest, AnAdapterIsTrainedForAFolderOrAFile) {
  ASSERT_TRUE(run(recipe(), "base").ok());
  const auto text = [](const std::string& base) {
    return "model: {base: " + base +
           "}\nlora: {rank: 2}\ndata: {paths: text.txt, validation: 0.1, block_bytes: 1024}\noptimizer: {average: "
           "0.9}\n"
           "schedule: {peak: 1e-2, steps: 6}\nrun: {context: 24, batch_tokens: 64, checkpoint_every: 2}\n";
  };
  for (const char* base : {"base", "base/model.gguf"}) {
    const std::string out = base == std::string("base") ? "of_folder" : "of_file";
    const auto result = run(text(base), out);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_LT(result->loss, 4.5);
    EXPECT_GT(result->validation_loss, 0);
    const auto adapter = LoraAdapter::open(folder_ / out);
    ASSERT_TRUE(adapter.ok()) << adapter.status().message();
    EXPECT_EQ(adapter->pairs().size(), 14u);  // 2 layers
    EXPECT_EQ(result->parameters, 2 * 2 * (2 * 64 + 2 * 48 + 3 * 80));
    for (const char* other : {"config.json", "model.safetensors", "model.gguf", "tokenizer.json"})
      EXPECT_FALSE(fs::exists(folder_ / out / other)) << other;
  }
  run_until(text("base/model.gguf"), "killed", 3, false, 1);
  ASSERT_TRUE(run(text("base/model.gguf"), "killed", true, 3).ok());
  EXPECT_NE(said_.find("going on after step 2"), std::string::npos);
  for (const char* file : {"adapter_model.safetensors", "adapter_config.json", "checkpoint.safetensors"})
    EXPECT_TRUE(bytes("of_file", file) == bytes("killed", file)) << file;
}

TEST_F(RunTest, ASmallerModelBeginsWithChosenLayers) {
  std::string text = recipe();
  text.replace(text.find("num_hidden_layers: 2"), 20, "num_hidden_layers: 3");
  ASSERT_TRUE(run(text, "base").ok());
  const std::string smaller =
      "model: {base: base, layers: [2, 0]}\ndata: {paths: text.txt, validation: 0}\n"
      "schedule: {peak: 0, steps: 1}\nrun: {context: 24, batch_tokens: 64}\n";
  const auto result = run(smaller, "smaller");
  ASSERT_TRUE(result.ok()) << result.status().message();
  const auto base = SafetensorsFile::open(folder_ / "base/model.safetensors");
  const auto made = SafetensorsFile::open(folder_ / "smaller/model.safetensors");
  ASSERT_TRUE(base.ok() && made.ok());
  const auto same = [&](const std::string& name, const std::string& from) {
    const auto *a = made->find(name), *b = base->find(from);
    ASSERT_TRUE(a != nullptr && b != nullptr) << name;
    EXPECT_TRUE(std::ranges::equal(a->data, b->data)) << name;
  };
  same("model.layers.0.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight");
  same("model.layers.1.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.weight");
  same("model.embed_tokens.weight", "model.embed_tokens.weight");
  EXPECT_EQ(nlohmann::json::parse(bytes("smaller", "config.json"))["num_hidden_layers"], 2);
  std::string wrong = smaller;
  wrong.replace(wrong.find("[2, 0]"), 6, "[3]");
  EXPECT_NE(run(wrong, "wrong").status().message().find("model.layers: no layer 3 (the base has 0 to 2)"),
            std::string::npos);
}

TEST_F(RunTest, ChatsAreLearntInTheFormOfTheTemplate) {
  std::ofstream chats(folder_ / "chats.jsonl");
  for (int i = 0; i < 60; ++i) {
    chats << R"({"messages": [{"role": "user", "content": "Go )" << i
          << R"("}, {"role": "assistant", "content": "The king said go )" << i << "\"}]}\n";
  }
  chats.close();
  std::string text = recipe();
  text.replace(text.find("{vocab: 290}"), 12,
               "{vocab: 290, begin_token: <s>, special_tokens: [<|user|>, <|end|>], chat_template: \"{{ bos_token }}"
               "{% for m in messages %}{{ '<|user|>' + m['content'] + '<|end|>' }}{% endfor %}\"}");
  text.replace(text.find("paths: text.txt"), 15, "paths: [text.txt, chats.jsonl]");
  const auto result = run(text, "out");
  ASSERT_TRUE(result.ok()) << result.status().message();
  for (const char* name : {"out", "out/model.gguf"}) {
    const auto model = Model::load(folder_ / name);
    ASSERT_TRUE(model.ok()) << model.status().message();
    ASSERT_NE((*model)->chat_template(), nullptr);
    EXPECT_EQ((*model)->tokenizer()->bos(), std::optional<TokenId>(1));
    EXPECT_EQ((*model)->tokenizer()->encode("<|user|>")[1], 2);
  }
}

TEST_F(RunTest, FaultsSayWhatToDo) {
  struct Fault {
    std::string recipe, message;
  };
  const std::string small = recipe("architecture: LlamaForCausalLM, vocab_size: 200");
  for (const Fault& fault : {
           Fault{small, "the tokenizer has 290 tokens, the model's vocab_size is only 200"},
           {recipe("architecture: LamaForCausalLM"), "unknown architecture \"LamaForCausalLM\""},
           {recipe("architecture: LlamaForCausalLM, rms_norm_epsilon: 1"),
            "model: unknown key \"rms_norm_epsilon\" (the nearest known is \""},
           {recipe("architecture: LlamaForCausalLM, max_position_embeddings: 8"),
            "run.context: 24 tokens, the model takes 8"},
           {recipe("architecture: LlamaForCausalLM, vocab_size: 1000000000"), " bytes with their gradients"},
       }) {
    const auto result = run(fault.recipe, "fault");
    ASSERT_FALSE(result.ok()) << fault.message;
    EXPECT_NE(result.status().message().find(fault.message), std::string::npos) << result.status().message();
    fs::remove_all(folder_ / "fault");
  }
  std::string elsewhere = recipe();
  elsewhere.replace(elsewhere.find("paths: text.txt"), 15, "paths: made/text.txt");
  const std::string missing = run(elsewhere, "fault").status().message();
  EXPECT_NE(missing.find("data.paths: " + (folder_ / "made/text.txt").string() + ": no such file"), std::string::npos)
      << missing;
  EXPECT_NE(missing.find("relative to its own folder, " + folder_.string()), std::string::npos) << missing;
  std::ofstream(folder_ / "text.txt") << "";
  EXPECT_NE(run(recipe(), "fault").status().message().find("the corpus is empty"), std::string::npos);
  std::ofstream(folder_ / "text.txt", std::ios::binary) << std::string(2900, '\xFE');
  const auto binary = run(recipe(), "fault");
  EXPECT_NE(binary.status().message().find("text.txt:1: not UTF-8"), std::string::npos) << binary.status().message();
}

TEST_F(RunTest, ALossThatIsNotFiniteEndsTheRunAndKeepsTheCheckpoint) {
  ASSERT_TRUE(run(recipe(), "base").ok());
  {  // a base whose second layer is broken
    const Result<SafetensorsFile> file = SafetensorsFile::open(folder_ / "base/model.safetensors");
    auto writer = SafetensorsWriter::create(folder_ / "base/model.safetensors");
    for (const auto& tensor : file->tensors())
      ASSERT_TRUE(writer->declare_tensor(tensor.name, DType::kF32, tensor.shape).ok());
    ASSERT_TRUE(writer->begin_data().ok());
    for (const auto& tensor : file->tensors()) {
      std::vector<float> numbers(tensor.data.size() / sizeof(float));
      std::memcpy(numbers.data(), tensor.data.data(), tensor.data.size());
      if (tensor.name == "model.layers.1.input_layernorm.weight") numbers[3] = std::nanf("");
      ASSERT_TRUE(writer->write(std::as_bytes(std::span(numbers))).ok());
    }
    ASSERT_TRUE(writer->finish().ok());
  }
  const std::string text = "model: {base: base}\ndata: {paths: text.txt}\nrun: {context: 24, batch_tokens: 64}\n";
  const auto result = run(text, "tuned");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("step 1: numbers are not finite any more, first after layer 1"),
            std::string::npos)
      << result.status().message();
  EXPECT_FALSE(fs::exists(folder_ / "tuned/model.safetensors"));
}

// A student of half the layers beside its teacher.
class DistillationRun : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    ASSERT_TRUE(run(recipe(), "teacher").ok());
  }
  static std::string student(const std::string& distill) {
    std::string text = recipe();
    text.replace(text.find("num_hidden_layers: 2"), 20, "num_hidden_layers: 1");
    text.replace(text.find("{vocab: 290}"), 12, "{path: teacher}");
    return text + "distill: {" + distill + "}\n";
  }
};

TEST_F(DistillationRun, ComesNearerToItsTeacher) {
  for (const char* teacher : {"teacher", "teacher/model.gguf"}) {
    fs::remove_all(folder_ / "student");
    const auto result = run(student("teacher: " + std::string(teacher) + ", temperature: 2, weight: 0.8"), "student");
    ASSERT_TRUE(result.ok()) << result.status().message();
    const auto lines = log("student");
    ASSERT_EQ(lines.size(), 12U);
    EXPECT_LT(lines.back()["divergence"], 0.5 * lines.front()["divergence"].get<double>());
    EXPECT_TRUE(Model::load(folder_ / "student").ok());
  }
}

TEST_F(DistillationRun, KilledAndResumedWithOtherThreadsEndsWithTheSameBits) {
  const std::string text = student("teacher: teacher, temperature: 1.5, weight: 0.6, top_k: 12");
  ASSERT_TRUE(run(text, "whole", false, 1).ok());
  run_until(text, "killed", 8, false, 3);
  ASSERT_TRUE(run(text, "killed", true, 2).ok());
  for (const char* file : {"model.safetensors", "checkpoint.safetensors"})
    EXPECT_TRUE(bytes("whole", file) == bytes("killed", file)) << file;
  // Another teacher under the same name is not the same run.
  fs::remove_all(folder_ / "teacher");
  std::string other = recipe();
  other.replace(other.find("seed: 3"), 7, "seed: 4");
  ASSERT_TRUE(run(other, "teacher").ok());
  EXPECT_FALSE(run(text, "whole", true).ok());
}

// The same bits at any number of threads, and when killed.
TEST_F(DistillationRun, OnPolicyKilledAndResumedEndsWithTheSameBits) {
  const std::string text =
      student("teacher: teacher, on_policy: 0.5, prompt_tokens: 4, max_new_tokens: 12, divergence: js, beta: 0.8");
  ASSERT_TRUE(run(text, "whole", false, 1).ok());
  run_until(text, "killed", 3, false, 3);
  run_until(text, "killed", 8, true, 1);
  ASSERT_TRUE(run(text, "killed", true, 2).ok());
  for (const char* file : {"model.safetensors", "checkpoint.safetensors"})
    EXPECT_TRUE(bytes("whole", file) == bytes("killed", file)) << file;
  const auto lines = log("whole");
  for (const auto& line : lines) {
    EXPECT_GE(line["written_tokens"], 4);
    EXPECT_LE(line["written_tokens"], 4 * 12);
    EXPECT_GT(line["written_share"], 0.04);
    EXPECT_LT(line["written_share"], 0.45);
  }
}

TEST_F(DistillationRun, AllMayBeWrittenByAnAdaptedStudent) {
  std::string other = recipe();  // another model with the teacher's tokenizer
  other.replace(other.find("seed: 3"), 7, "seed: 4");
  other.replace(other.find("{vocab: 290}"), 12, "{path: teacher}");
  ASSERT_TRUE(run(other, "base").ok());
  const std::string text =
      "model: {base: base}\nlora: {rank: 4}\ndata: {paths: text.txt}\n"
      "distill: {teacher: teacher, on_policy: 1, prompt_tokens: 6, max_new_tokens: 10, divergence: reverse}\n"
      "schedule: {peak: 1e-2, steps: 8}\nrun: {context: 24, batch_tokens: 128, checkpoint_every: 3}\n";
  const auto whole = run(text, "whole", false, 1);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  run_until(text, "killed", 4, false, 2);
  ASSERT_TRUE(run(text, "killed", true, 3).ok());
  EXPECT_TRUE(bytes("whole", "adapter_model.safetensors") == bytes("killed", "adapter_model.safetensors"));
  EXPECT_EQ(log("whole").back()["written_share"], 1);
  EXPECT_LT(log("whole").back()["written_divergence"], log("whole").front()["written_divergence"]);
  const double divergence = log("whole").back()["divergence"];
  EXPECT_NEAR(log("whole").back()["written_divergence"], divergence, 1e-5 * divergence);
}

TEST_F(DistillationRun, HiddenStatesComeNearerThroughAProjection) {
  std::string text = student("teacher: teacher, layers: [0, 1], layer_weight: 2");
  text.replace(text.find("hidden_size: 32"), 15, "hidden_size: 16");
  ASSERT_TRUE(run(text, "whole", false, 1).ok());
  EXPECT_LT(log("whole").back()["hidden_distance"], 0.9 * log("whole").front()["hidden_distance"].get<double>());
  run_until(text, "killed", 8, false, 3);
  ASSERT_TRUE(run(text, "killed", true, 2).ok());
  for (const char* file : {"model.safetensors", "checkpoint.safetensors"})
    EXPECT_TRUE(bytes("whole", file) == bytes("killed", file)) << file;
  const auto model = Model::load(folder_ / "whole");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ((*model)->checkpoint().find("distill.0.projection.weight"), nullptr);
}

TEST_F(DistillationRun, FaultsSayWhatToDo) {
  const auto refused = [&](const std::string& text) {
    const auto result = run(text, "fault");
    EXPECT_FALSE(result.ok());
    fs::remove_all(folder_ / "fault");
    return result.status().message();
  };
  EXPECT_NE(refused(student("teacher: nobody")).find("distill.teacher: "), std::string::npos);
  EXPECT_NE(refused(student("weight: 1")).find("distill.teacher: expected a folder"), std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, top: 3")).find("distill: unknown key \"top\""), std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, divergence: back")).find("no divergence named \"back\" (known: forward"),
            std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, beta: 0.2")).find("distill.beta: is of the divergence js alone"),
            std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, on_policy: 0.5")).find("run.context is 24"), std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, layers: [0]")).find("expected pairs of layers"), std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, layers: [0, 2]")).find("the teacher has no layer 2"), std::string::npos);
  EXPECT_NE(refused(student("teacher: teacher, layers: [1, 1]")).find("the student has no layer 1"), std::string::npos);
  std::string own = student("teacher: teacher");
  own.replace(own.find("{path: teacher}"), 15, "{vocab: 280}");
  EXPECT_NE(refused(own).find("the teacher's tokenizer has 290 tokens, the student's 280"), std::string::npos);
  std::string unigram = student("teacher: teacher");
  unigram.replace(unigram.find("{path: teacher}"), 15, "{vocab: 290, kind: unigram, end_token: '<end>'}");
  EXPECT_NE(refused(unigram).find("a teacher needs the student's tokenizer"), std::string::npos) << refused(unigram);
  std::string padded = student("teacher: teacher");
  padded.replace(padded.find("hidden_size"), 11, "vocab_size: 512, hidden_size");
  EXPECT_NE(refused(padded).find("the teacher gives 290 logits, the student's vocab_size is 512"), std::string::npos);
}

}  // namespace
}  // namespace strata
