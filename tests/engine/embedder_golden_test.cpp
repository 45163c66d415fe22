// Encoders against what transformers computed, and the law of company for whole texts: a text's rows are the same bits
// alone, among others and on any number of threads, for encoders and for generating models that embed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/model_embedder.h"
#include "model/format/quantize.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

struct Case {
  std::string model;
  std::string isa;
};

std::filesystem::path folder_of(const std::string& model) {
  const std::filesystem::path committed = std::filesystem::path(STRATA_SOURCE_DIR) / "tests/data/arch" / model;
  return std::filesystem::exists(committed) ? committed : test::shared_data() / "golden-arch" / model;
}

std::vector<Case> cases(std::initializer_list<const char*> models) {
  std::vector<Case> all;
  for (const char* model : models) {
    for (const char* isa : {"reference", "generic", "avx2", "avx512"}) {
      if (find_cpu_kernels(isa) != nullptr) all.push_back({model, isa});
    }
  }
  return all;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.model + "_" + info.param.isa;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

struct Loaded {
  Loaded(const Case& tested, int threads) : Loaded(folder_of(tested.model), tested.isa, threads) {}
  Loaded(const std::filesystem::path& path, const std::string& isa, int threads) : pool(threads) {
    Result<std::unique_ptr<Model>> loaded = Model::load(path);
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (!loaded.ok()) return;
    model = std::move(*loaded);
    auto made = ModelEmbedder::make(*model, *find_cpu_kernels(isa), pool, {.context = 0, .max_batch_tokens = 400});
    EXPECT_TRUE(made.ok()) << made.status().message();
    if (made.ok()) embedder = std::move(*made);
  }
  ThreadPool pool;
  std::unique_ptr<Model> model;
  std::unique_ptr<ModelEmbedder> embedder;
};

// Every output that golden.json has, of the texts without the token `skipped`.
void expect_golden(ModelEmbedder& embedder, const std::filesystem::path& folder, int32_t skipped = -1) {
  const std::pair<const char*, TextOutput> kOutputs[] = {
      {"cls", TextOutput::kFirst},           {"mean", TextOutput::kMean},     {"last", TextOutput::kLast},
      {"last_token", TextOutput::kLast},     {"pooler", TextOutput::kPooler}, {"score", TextOutput::kScore},
      {"pooler_output", TextOutput::kPooler}};
  int compared = 0;
  const json golden = json::parse(test::read_text(folder / "golden.json"));
  for (const json& prompt : golden["prompts"]) {
    const auto ids = prompt["ids"].get<std::vector<int32_t>>();
    if (std::count(ids.begin(), ids.end(), skipped) > 0) continue;
    const auto types = prompt["token_type_ids"].get<std::vector<int32_t>>();
    const TextTokens text{ids, types};
    ASSERT_TRUE(embedder.run({&text, 1}).ok());
    for (const auto& [name, output] : kOutputs) {
      if (!prompt.contains(name)) continue;
      const json& value = prompt[name];
      const auto want = value.is_array() ? value.get<std::vector<float>>() : std::vector<float>{value.get<float>()};
      const std::span<const float> got = embedder.rows(output);
      ASSERT_EQ(got.size(), want.size()) << name;
      for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-4) << name << " " << i;
      ++compared;
    }
  }
  EXPECT_GE(compared, 3);
}

class EncoderGolden : public testing::TestWithParam<Case> {};

TEST_P(EncoderGolden, RowsAgree) {
  const std::filesystem::path folder = folder_of(GetParam().model);
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  Loaded loaded(GetParam(), 1);
  ASSERT_NE(loaded.embedder, nullptr);
  expect_golden(*loaded.embedder, folder);
}

INSTANTIATE_TEST_SUITE_P(Models, EncoderGolden,
                         testing::ValuesIn(cases({"bert", "bert-rerank", "roberta", "xlm-roberta-rerank", "distilbert",
                                                  "distilbert-labels", "nomic-bert", "nomic-bert-published",
                                                  "modernbert", "modernbert-rerank", "qwen3-embedding"})),
                         case_name);

// Written as GGUF and read back.
class EncoderGguf : public testing::TestWithParam<const char*> {};

TEST_P(EncoderGguf, RowsComeBack) {
  const std::filesystem::path folder = folder_of(GetParam());
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("strata-encoder-" + std::string(GetParam()) + ".gguf");
  ThreadPool pool(1);
  const auto written = quantize_file(folder, file, "F32", pool);
  ASSERT_TRUE(written.ok()) << written.status().message();
  Loaded loaded(file, "reference", 1);
  std::filesystem::remove(file);
  ASSERT_NE(loaded.embedder, nullptr);
  // In GGUF RoBERTa is a BERT: positions count padding inside a text, which RoBERTa's do not.
  const json config = json::parse(test::read_text(folder / "config.json"));
  const bool counts = config["model_type"].get<std::string>().find("roberta") != std::string::npos;
  expect_golden(*loaded.embedder, folder, counts ? config["pad_token_id"].get<int32_t>() : -1);
}

INSTANTIATE_TEST_SUITE_P(Models, EncoderGguf,
                         testing::Values("bert", "bert-rerank", "roberta", "xlm-roberta-rerank", "distilbert",
                                         "nomic-bert", "nomic-bert-published", "modernbert", "modernbert-rerank"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class CompanyOfTexts : public testing::TestWithParam<Case> {};

TEST_P(CompanyOfTexts, RowsKeepTheirBits) {
  if (!std::filesystem::exists(folder_of(GetParam().model))) GTEST_SKIP() << "no " << GetParam().model;
  Loaded one(GetParam(), 1), three(GetParam(), 3);
  ASSERT_NE(one.embedder, nullptr);
  ASSERT_NE(three.embedder, nullptr);
  const EmbedderLimits& limits = one.embedder->limits();
  const TextOutput output = limits.scores ? TextOutput::kScore : TextOutput::kMean;
  std::mt19937 random(5);
  std::vector<std::vector<int32_t>> texts;
  for (const int n : {1, 2, 31, 16, 47, 17, 33, 5, 40, 1}) {
    auto& ids = texts.emplace_back(static_cast<size_t>(n));
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<unsigned>(limits.vocab));
  }
  std::vector<std::vector<float>> want;
  for (const auto& ids : texts) {
    const TextTokens text{ids, {}};
    ASSERT_TRUE(one.embedder->run({&text, 1}).ok());
    const std::span<const float> row = one.embedder->rows(output);
    want.emplace_back(row.begin(), row.end());
  }
  for (int round = 0; round < 6; ++round) {
    std::vector<size_t> order(texts.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    order.resize(1 + random() % order.size());
    std::vector<TextTokens> batch;
    for (const size_t i : order) batch.push_back({texts[i], {}});
    for (Loaded* loaded : {&one, &three}) {
      ASSERT_TRUE(loaded->embedder->run(batch).ok());
      const std::span<const float> rows = loaded->embedder->rows(output);
      const size_t width = rows.size() / batch.size();
      for (size_t i = 0; i < order.size(); ++i) {
        ASSERT_EQ(std::memcmp(rows.data() + i * width, want[order[i]].data(), width * sizeof(float)), 0)
            << "text " << order[i] << ", round " << round;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CompanyOfTexts,
                         testing::ValuesIn(cases({"bert", "xlm-roberta-rerank", "nomic-bert", "modernbert", "llama",
                                                  "qwen3-moe", "deepseek-v3"})),
                         case_name);

// A decoder without its head, with the files of sentence-transformers.
TEST(ModelOfSentenceTransformers, FilesSayHowItEmbeds) {
  Result<std::unique_ptr<Model>> model = Model::load(folder_of("qwen3-embedding"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const ModelConfig& config = (*model)->config();
  EXPECT_EQ(config.kind, ModelKind::kEmbeds);
  EXPECT_EQ(config.pooling, Pooling::kLast);
  EXPECT_TRUE(config.normalize);
  EXPECT_EQ(config.max_input, 48);
  EXPECT_EQ(config.embedding_dim, 24);
}

// A generating model embeds what it would answer from: its last row, put through the head, gives the logits.
class GeneratingModelEmbeds : public testing::TestWithParam<Case> {};

TEST_P(GeneratingModelEmbeds, LastRowGivesTheGoldenLogits) {
  if (!std::filesystem::exists(folder_of(GetParam().model))) GTEST_SKIP() << "no " << GetParam().model;
  Loaded loaded(GetParam(), 1);
  ASSERT_NE(loaded.embedder, nullptr);
  const CheckpointWeights& weights = static_cast<const CheckpointWeights&>(loaded.model->weights());
  std::optional<WeightTensor> head = weights.find("lm_head.weight");
  if (!head) head = weights.find("model.embed_tokens.weight");
  ASSERT_TRUE(head.has_value());
  const auto* matrix = reinterpret_cast<const float*>(head->data.data());
  const json golden = json::parse(test::read_text(folder_of(GetParam().model) / "golden.json"));
  for (const json& prompt : golden["prompts"]) {
    const auto ids = prompt["ids"].get<std::vector<int32_t>>();
    const auto want = prompt["last_logits"].get<std::vector<float>>();
    const TextTokens text{ids, {}};
    ASSERT_TRUE(loaded.embedder->run({&text, 1}).ok());
    const std::span<const float> row = loaded.embedder->rows(TextOutput::kLast);
    for (size_t n = 0; n < want.size(); ++n) {
      double logit = 0;
      for (size_t k = 0; k < row.size(); ++k) logit += static_cast<double>(row[k]) * matrix[n * row.size() + k];
      ASSERT_NEAR(logit, want[n], 1e-4 * prompt["logit_range"].get<double>());
    }
  }
}

// Grouped heads, windows, experts, latent attention, sinks, and rotary frequencies by length, on whole texts.
INSTANTIATE_TEST_SUITE_P(Models, GeneratingModelEmbeds,
                         testing::ValuesIn(cases({"llama", "mistral", "mixtral", "qwen3", "deepseek-v3", "gpt-oss",
                                                  "olmo2", "phi3-longrope"})),
                         case_name);

}  // namespace
}  // namespace strata
