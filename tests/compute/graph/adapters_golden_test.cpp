// Adapters of different ranks and modules, and none, in one batch; and of all kinds of weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "compute/graph/passes/adapters.h"
#include "model/adapter.h"
#include "model/format/test_files.h"
#include "model/format/lora_writer.h"
#include "model/format/quantize.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

struct Golden {
  std::vector<int32_t> ids;
  std::vector<float> logits;
  double range = 1;
};

std::vector<Golden> read_golden(const std::filesystem::path& file) {
  std::vector<Golden> out;
  for (const json& prompt : json::parse(test::read_text(file))["prompts"]) {
    out.push_back({prompt["ids"].get<std::vector<int32_t>>(), prompt["last_logits"].get<std::vector<float>>(),
                   prompt["logit_range"].get<double>()});
  }
  return out;
}

TEST(Adapters, TwoAdaptersAndNoneShareABatch) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const std::filesystem::path folder = test::shared_data() / "golden-arch/llama";
  const std::filesystem::path second_folder = test::source_dir() / "tests/data/lora/second";
  test::ModelFixture model(folder, {});
  ASSERT_TRUE(model.ok());
  const GraphWithAdapters adapted = add_adapters(model.graph(), 8);
  const auto first = load_adapter(folder / "lora", adapted.places, model.checkpoint());
  const auto second = load_adapter(second_folder, adapted.places, model.checkpoint());
  ASSERT_TRUE(first.ok()) << first.status().message();
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_NE((*first)->identity, (*second)->identity);
  const CheckpointWeights weights(model.checkpoint());
  const std::vector<Golden> goldens[] = {read_golden(folder / "lora/golden.json"),
                                         read_golden(second_folder / "golden.json"),
                                         read_golden(folder / "golden.json")};
  std::vector<std::vector<float>> bare;
  for (const Golden& golden : goldens[2]) bare.push_back(model.prefill(golden.ids));

  WeightBinder binder(weights, model.pool());
  const auto plan = Plan::make(lower_for_inference(adapted.graph, model.kernels(), DType::kF32), model.kernels(), binder,
                               test::maxima(256));
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ExecutionContext context(*plan, model.pool());
  const test::CacheMemory cache(context, 64);
  for (size_t prompt = 0; prompt < goldens[0].size(); ++prompt) {
    test::BatchBuilder builder(16);
    builder.set_adapters({first->get(), second->get()});
    for (int s = 0; s < 3; ++s) {
      const Golden& golden = goldens[s][prompt];
      builder.add(golden.ids, {s, 0, static_cast<int64_t>(golden.ids.size()), 1, s < 2 ? s : -1});
    }
    context.run(builder.batch());
    const std::span<float> logits = context.output("logits");
    for (int s = 0; s < 3; ++s) {
      const Golden& golden = goldens[s][prompt];
      const float* row = logits.data() + static_cast<size_t>(s) * golden.logits.size();
      double worst = 0;
      for (size_t i = 0; i < golden.logits.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(row[i]) - golden.logits[i]));
      EXPECT_LE(worst, 1e-4 * golden.range) << "adapter " << s << ", prompt " << prompt;
    }
    // Rows without an adapter keep the bits of the model without adapters.
    EXPECT_EQ(
        std::memcmp(logits.data() + 2 * bare[prompt].size(), bare[prompt].data(), bare[prompt].size() * sizeof(float)),
        0);
  }
}

// An adapter of a module whose weight the files fuse or store transposed is like its product added to the weight.
struct Module {
  std::string name;  // of the first layer
  int64_t outputs;
  int64_t inputs;
  bool transposed;
};

class FusedAdapter {
 public:
  explicit FusedAdapter(const std::vector<Module>& modules) : modules_(modules) {
    std::string data;
    json header = json::object();
    const auto add = [&](const std::string& name, int64_t rows, int64_t cols) {
      std::vector<float>& values = factors_[name];
      for (int64_t i = 0; i < rows * cols; ++i) values.push_back(static_cast<float>((i * 37 + rows) % 19 - 9) * 0.03f);
      const size_t begin = data.size();
      data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
      header["base_model.model." + name] = {
          {"dtype", "F32"}, {"shape", {rows, cols}}, {"data_offsets", {begin, data.size()}}};
    };
    for (const Module& m : modules) {
      add(m.name + ".lora_A.weight", kRank, m.inputs);
      add(m.name + ".lora_B.weight", m.outputs, kRank);
    }
    files_.write("adapter_config.json", R"({"peft_type": "LORA", "r": 2, "lora_alpha": 6, "target_modules": ["all"]})");
    const std::string text = header.dump();
    files_.write("adapter_model.safetensors", test::Bytes().u64(text.size()).raw(text).raw(data).text());
  }

  const std::filesystem::path& folder() const { return files_.path(); }

  // The weight as stored, with 3 = alpha / r times the product added.
  std::vector<float> merged(const Module& m, std::span<const std::byte> stored) const {
    std::vector<float> out(static_cast<size_t>(m.outputs * m.inputs));
    std::memcpy(out.data(), stored.data(), stored.size());
    const std::vector<float>& a = factors_.at(m.name + ".lora_A.weight");
    const std::vector<float>& b = factors_.at(m.name + ".lora_B.weight");
    for (int64_t i = 0; i < m.outputs; ++i) {
      for (int64_t j = 0; j < m.inputs; ++j) {
        float product = 0;
        for (int64_t r = 0; r < kRank; ++r)
          product += b[static_cast<size_t>(i * kRank + r)] * a[static_cast<size_t>(r * m.inputs + j)];
        out[static_cast<size_t>(m.transposed ? j * m.outputs + i : i * m.inputs + j)] += 3 * product;
      }
    }
    return out;
  }

 private:
  static constexpr int64_t kRank = 2;
  std::vector<Module> modules_;
  std::map<std::string, std::vector<float>> factors_;
  test::TemporaryFolder files_;
};

class MergedWeights final : public WeightSource {
 public:
  MergedWeights(const WeightSource& base, const FusedAdapter& adapter, const std::vector<Module>& modules) : base_(base) {
    for (const Module& m : modules)
      merged_[m.name + ".weight"] = adapter.merged(m, base.find(m.name + ".weight")->data);
  }
  std::optional<WeightTensor> find(std::string_view name) const override {
    std::optional<WeightTensor> tensor = base_.find(name);
    const auto at = merged_.find(name);
    if (tensor && at != merged_.end()) tensor->data = std::as_bytes(std::span(at->second));
    return tensor;
  }

 private:
  const WeightSource& base_;
  std::map<std::string, std::vector<float>, std::less<>> merged_;
};

std::vector<float> logits_of(test::ModelFixture& model, const Graph& graph, const WeightSource& source,
                             const AdapterWeights* adapter) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(i * 11 % 384);
  WeightBinder binder(source, model.pool());
  const auto plan = Plan::make(lower_for_inference(graph, model.kernels(), DType::kF32), model.kernels(), binder,
                               test::maxima(64));
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  ExecutionContext context(*plan, model.pool());
  const test::CacheMemory cache(context, 16);
  test::BatchBuilder builder(16);
  if (adapter != nullptr) builder.set_adapters({adapter});
  builder.add(ids, {0, 0, 30, 3, adapter == nullptr ? -1 : 0});
  context.run(builder.batch());
  const std::span<float> logits = context.output("logits");
  return {logits.begin(), logits.end()};
}

void expect_adapter_is_like_merged_weights(const std::string& model_name, const std::vector<Module>& modules) {
  test::ModelFixture model(test::shared_data() / model_name, {});
  ASSERT_TRUE(model.ok());
  const FusedAdapter files(modules);
  const GraphWithAdapters adapted = add_adapters(model.graph(), 2);
  const auto adapter = load_adapter(files.folder(), adapted.places, model.checkpoint());
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  const CheckpointWeights weights(model.checkpoint());
  const std::vector<float> got = logits_of(model, adapted.graph, weights, adapter->get());
  const std::vector<float> want = logits_of(model, model.graph(), MergedWeights(weights, files, modules), nullptr);
  const std::vector<float> bare = logits_of(model, model.graph(), weights, nullptr);
  const auto [low, high] = std::minmax_element(want.begin(), want.end());
  double worst = 0, moved = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]));
    moved = std::max(moved, std::abs(static_cast<double>(bare[i]) - want[i]));
  }
  EXPECT_LE(worst, 1e-5 * (*high - *low));
  EXPECT_GE(moved, 1e-2 * (*high - *low));
}

TEST(Adapters, OfFusedWeightsAreLikeTheirProductAdded) {
  STRATA_REQUIRE_DATA("golden-arch/phi3-longrope");
  expect_adapter_is_like_merged_weights("golden-arch/phi3-longrope",
                                        {{"model.layers.0.self_attn.qkv_proj", 128, 64, false},
                                         {"model.layers.0.mlp.gate_up_proj", 192, 64, false}});
}

TEST(Adapters, OfTransposedWeightsAreLikeTheirProductAdded) {
  STRATA_REQUIRE_DATA("golden-arch/gpt2");
  expect_adapter_is_like_merged_weights(
      "golden-arch/gpt2", {{"transformer.h.0.attn.c_attn", 192, 64, true}, {"transformer.h.0.mlp.c_fc", 96, 64, true}});
}

// What does not fit is refused, and named.
TEST(Adapters, OfAnotherModelAreRefused) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  STRATA_REQUIRE_DATA("golden-arch/qwen2");
  const std::filesystem::path llama = test::shared_data() / "golden-arch/llama";
  const Checkpoint other = *Checkpoint::open(test::shared_data() / "golden-arch/qwen2");
  const auto shape =
      load_adapter(llama / "lora", add_adapters(build_model(other)->graph, 8).places, other);
  ASSERT_FALSE(shape.ok());
  EXPECT_EQ(shape.status().code(), Code::kInvalidArgument);
  EXPECT_NE(shape.status().message().find("q_proj"), std::string::npos) << shape.status().message();
  const Checkpoint own = *Checkpoint::open(llama);
  const auto rank = load_adapter(llama / "lora", add_adapters(build_model(own)->graph, 3).places, own);
  ASSERT_FALSE(rank.ok());
  EXPECT_NE(rank.status().message().find("has rank 4, at most 3"), std::string::npos) << rank.status().message();
  const FusedAdapter unknown({{"model.layers.9.mlp.up_proj", 64, 64, false}});
  const auto place = load_adapter(unknown.folder(), add_adapters(build_model(own)->graph, 8).places, own);
  ASSERT_FALSE(place.ok());
  EXPECT_NE(place.status().message().find("no such linear layer"), std::string::npos) << place.status().message();
}

// Factors of quantized weights are kept in 8 bits: far nearer to the exact ones than the quantized weights are.
TEST(Adapters, OfQuantizedWeightsAreNearTheExactOnes) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const std::filesystem::path folder = test::shared_data() / "golden-arch/llama";
  const test::TemporaryFolder out;
  ThreadPool pool(2);
  ASSERT_TRUE(quantize_file(folder, out.path() / "model.gguf", "Q4_0", pool).ok());
  test::ModelFixture model(out.path() / "model.gguf", {});
  ASSERT_TRUE(model.ok());
  GraphWithAdapters adapted = add_adapters(model.graph(), 8);
  const CheckpointWeights weights(model.checkpoint());
  const auto rounded = load_adapter(folder / "lora", adapted.places, model.checkpoint());
  ASSERT_TRUE(rounded.ok()) << rounded.status().message();
  EXPECT_EQ((*rounded)->first[0].factor.type, DType::kI8);
  for (AdapterPlaces::First& first : adapted.places.first) first.type = DType::kF32;
  const auto exact = load_adapter(folder / "lora", adapted.places, model.checkpoint());
  const std::vector<float> a = logits_of(model, adapted.graph, weights, rounded->get());
  const std::vector<float> b = logits_of(model, adapted.graph, weights, exact->get());
  test::ModelFixture numbers(folder, {});
  const GraphWithAdapters of_numbers = add_adapters(numbers.graph(), 8);
  const auto adapter = load_adapter(folder / "lora", of_numbers.places, numbers.checkpoint());
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  const std::vector<float> want =
      logits_of(numbers, of_numbers.graph, CheckpointWeights(numbers.checkpoint()), adapter->get());
  double apart = 0, quantization = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    apart += std::pow(static_cast<double>(a[i]) - b[i], 2);
    quantization += std::pow(static_cast<double>(b[i]) - want[i], 2);
  }
  EXPECT_GT(apart, 0);
  EXPECT_LE(apart, 0.1 * 0.1 * quantization) << std::sqrt(apart / quantization);
}

// An adapter of its own rank on every layer of the model.
std::shared_ptr<const AdapterWeights> whole_adapter(const Checkpoint& model, const AdapterPlaces& places, int64_t rank) {
  LoraFiles files;
  files.rank = rank;
  files.alpha = static_cast<double>(2 * rank);
  files.targets = {"all"};
  std::vector<std::vector<float>> numbers;
  std::mt19937 random(static_cast<uint32_t>(rank));
  const auto draw = [&](int64_t count) {
    std::vector<float>& drawn = numbers.emplace_back(static_cast<size_t>(count));
    for (float& number : drawn) number = static_cast<float>(random() % 2001) / 1e4F - 0.1F;
  };
  for (const AdapterPlaces::First& place : places.first) {
    if (place.tensor.find(".layers.") == std::string::npos) continue;
    draw(rank * place.k);
    draw(rank * model.find(place.tensor)->shape[0]);
    files.factors.push_back({place.tensor, rank, {}, {}});
  }
  for (size_t i = 0; i < files.factors.size(); ++i) {
    files.factors[i].a = numbers[2 * i];
    files.factors[i].b = numbers[2 * i + 1];
  }
  const test::TemporaryFolder folder;
  EXPECT_TRUE(write_lora_adapter(folder.path(), files).ok());
  const auto adapter = load_adapter(folder.path(), places, model);
  EXPECT_TRUE(adapter.ok()) << adapter.status().message();
  return adapter.ok() ? *adapter : nullptr;
}

// The law of company: an answer with an adapter is the same to the bit alone and beside seven others.
TEST(Adapters, AloneAndBesideSevenOthersAreTheSameBits) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const std::filesystem::path folder = test::shared_data() / "golden-arch/llama";
  const test::TemporaryFolder out;
  ThreadPool pool(2);
  ASSERT_TRUE(quantize_file(folder, out.path() / "model.gguf", "Q4_0", pool).ok());
  for (const std::filesystem::path& path : {folder, out.path() / "model.gguf"}) {
    test::ModelFixture model(path, {});
    ASSERT_TRUE(model.ok());
    const GraphWithAdapters adapted = add_adapters(model.graph(), 16);
    std::vector<std::shared_ptr<const AdapterWeights>> adapters;
    for (int64_t rank : {1, 2, 3, 5, 8, 9, 11, 16})
      adapters.push_back(whole_adapter(model.checkpoint(), adapted.places, rank));
    const CheckpointWeights weights(model.checkpoint());
    WeightBinder binder(weights, model.pool());
    const auto plan = Plan::make(lower_for_inference(adapted.graph, model.kernels(), DType::kF32), model.kernels(),
                                 binder, test::maxima(256));
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    const std::vector<int32_t> ids = {5, 17, 200, 31, 8, 90, 44, 45, 300, 12, 7};
    const auto rows = [&](const std::vector<int>& which) {  // the prompt in one step, its last token in another
      ExecutionContext context(*plan, model.pool());
      const test::CacheMemory cache(context, 32);
      std::vector<float> logits;
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 10}, {10, 11}}) {
        test::BatchBuilder builder(2);
        std::vector<const AdapterWeights*> used;
        for (const int a : which) {
          builder.add(ids, {static_cast<int>(used.size()), begin, end, 1, static_cast<int>(used.size())});
          used.push_back(adapters[static_cast<size_t>(a)].get());
        }
        builder.set_adapters(used);
        context.run(builder.batch());
        const std::span<float> step = context.output("logits");
        logits.insert(logits.end(), step.begin(), step.end());
      }
      return logits;
    };
    const std::vector<float> together = rows({0, 1, 2, 3, 4, 5, 6, 7});
    const size_t vocab = together.size() / 16;
    for (int a = 0; a < 8; ++a) {
      const std::vector<float> alone = rows({a});
      ASSERT_EQ(alone.size(), 2 * vocab);
      for (size_t step = 0; step < 2; ++step) {
        const float* beside = together.data() + (step * 8 + static_cast<size_t>(a)) * vocab;
        EXPECT_EQ(std::memcmp(alone.data() + step * vocab, beside, vocab * sizeof(float)), 0) << a << " step " << step;
      }
    }
  }
}

TEST(Adapters, BrokenFilesNeverDoMoreThanFail) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const std::filesystem::path folder = test::shared_data() / "golden-arch/llama";
  const Checkpoint model = *Checkpoint::open(folder);
  const AdapterPlaces places = add_adapters(build_model(model)->graph, 8).places;
  const std::string whole = test::read_text(folder / "lora/adapter_model.safetensors");
  const test::TemporaryFolder broken;
  broken.write("adapter_config.json", test::read_text(folder / "lora/adapter_config.json"));
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bytes = whole;
    if (i % 4 == 0) bytes.resize(random() % bytes.size());
    for (int flips = 0; flips < 3 && !bytes.empty(); ++flips)  // most of them in the header
      bytes[random() % std::min<size_t>(bytes.size(), flips == 0 ? bytes.size() : 1500)] ^= static_cast<char>(1 << random() % 8);
    broken.write("adapter_model.safetensors", bytes);
    const auto adapter = load_adapter(broken.path(), places, model);
    if (adapter.ok()) continue;
    ++refused;
    EXPECT_EQ(adapter.status().message().find('\n'), std::string::npos);
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace strata
