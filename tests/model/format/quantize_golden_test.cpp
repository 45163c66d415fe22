// A real model in every type: the file opens, its values stay close, and a second pass changes nothing.
#include <cmath>
#include <cstring>
#include <random>

#include "base/thread_pool.h"
#include "compute/tensor/quant_blocks.h"
#include "model/format/checkpoint.h"
#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "model/format/quantize.h"
#include "test_data.h"
#include "test_files.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

std::vector<float> values(const TensorInfo& tensor) {
  const int64_t k = tensor.shape.back();
  const size_t bytes = row_bytes(tensor.type, k);
  const size_t n_rows = tensor.data.size() / bytes;
  std::vector<float> out(n_rows * static_cast<size_t>(k));
  for (size_t row = 0; row < n_rows; ++row) {
    dequantize_row(tensor.type, tensor.data.data() + row * bytes, out.data() + row * static_cast<size_t>(k), k);
  }
  return out;
}

// sqrt(sum (a - b)^2 / sum a^2)
double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0;
  double whole = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    whole += std::pow(static_cast<double>(a[i]), 2);
  }
  return std::sqrt(difference / whole);
}

struct Case {
  const char* type;
  double tolerance;  // relative error of a matrix
};

class Quantize : public testing::TestWithParam<Case> {};

TEST_P(Quantize, StoriesStaysCloseWithAnyNumberOfThreads) {
  STRATA_REQUIRE_DATA("models/llama2xs-280k.gguf");
  const fs::path source = test::shared_data() / "models/llama2xs-280k.gguf";
  const test::TemporaryFolder folder;
  ThreadPool one(1);
  ThreadPool three(3);
  std::vector<std::string> seen;
  const auto result =
      quantize_file(source, folder.path() / "a.gguf", GetParam().type, one, [&](const QuantizeProgress& progress) {
        EXPECT_EQ(progress.done, static_cast<int64_t>(seen.size()));
        EXPECT_EQ(progress.total, 47);
        seen.push_back(progress.tensor);
      });
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(seen.size(), 47u);
  const auto again = quantize_file(source, folder.path() / "b.gguf", GetParam().type, three);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(test::read_text(folder.path() / "a.gguf") == test::read_text(folder.path() / "b.gguf"));

  const auto before = Checkpoint::open(source);
  const auto after = Checkpoint::open(folder.path() / "a.gguf");
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(after->weight_bytes(), result->bytes);
  EXPECT_EQ(before->weight_bytes(), result->source_bytes);
  EXPECT_EQ(after->gguf()->metadata().size(), before->gguf()->metadata().size() + 1);  // general.quantization_version
  ASSERT_EQ(after->tensors().size(), before->tensors().size());
  for (const TensorInfo& tensor : before->tensors()) {
    const TensorInfo* found = after->find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape);
    if (tensor.shape.size() == 1) {
      EXPECT_EQ(content_hash(*found), content_hash(tensor)) << tensor.name;
    } else {
      EXPECT_LE(relative_error(values(tensor), values(*found)), GetParam().tolerance) << tensor.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Quantize,
                         testing::Values(Case{"F32", 0}, Case{"F16", 3e-4}, Case{"BF16", 3e-3}, Case{"Q8_0", 8e-3},
                                         Case{"Q4_0", 0.12}, Case{"Q4_1", 0.12}, Case{"Q5_0", 0.06}, Case{"Q5_1", 0.06},
                                         Case{"Q3_K", 0.25}, Case{"Q4_K", 0.12}, Case{"Q5_K", 0.06}, Case{"Q6_K", 0.03},
                                         Case{"IQ4_NL", 0.12}, Case{"IQ4_XS", 0.12}, Case{"MXFP4", 0.18},
                                         Case{"Q2_K", 0.35}, Case{"Q3_K_M", 0.25}, Case{"Q4_K_M", 0.12},
                                         Case{"Q5_K_M", 0.06}),
                         [](const auto& tested) { return std::string(tested.param.type); });

// Rows long enough for the 256-element blocks; normally distributed weights.
TEST(QuantizeFile, LongBlocks) {
  const test::TemporaryFolder folder;
  const fs::path source = folder.path() / "f32.gguf";
  std::vector<float> weights(16 * 512);
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  for (float& weight : weights) weight = normal(random);
  {
    auto writer = GgufWriter::create(source);
    ASSERT_TRUE(writer.ok());
    writer->add_string("general.architecture", "llama");
    writer->add_uint("llama.block_count", 8);
    const std::vector<int64_t> shape = {16, 512};
    for (const char* name : {"output.weight", "blk.0.attn_v.weight", "blk.1.attn_v.weight"}) {
      ASSERT_TRUE(writer->declare_tensor(name, DType::kF32, shape).ok());
    }
    ASSERT_TRUE(writer->begin_data().ok());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer->write(std::as_bytes(std::span(weights))).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  ThreadPool pool(2);
  const auto error_of = [&](const char* type, const char* tensor, DType expected) {
    const fs::path target = folder.path() / type;
    const auto result = quantize_file(source, target, type, pool);
    EXPECT_TRUE(result.ok()) << result.status().message();
    const auto checkpoint = Checkpoint::open(target);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status().message();
    const TensorInfo* found = checkpoint->find(tensor);
    EXPECT_EQ(found->type, expected);
    return relative_error(weights, values(*found));
  };
  const double q4 = error_of("Q4_K", "model.layers.1.self_attn.v_proj.weight", DType::kQ4_K);
  const double q6 = error_of("Q6_K", "model.layers.1.self_attn.v_proj.weight", DType::kQ6_K);
  EXPECT_LE(q4, 0.085);
  EXPECT_GE(q4, 0.03);
  EXPECT_LE(q6, 0.025);
  EXPECT_GE(q6, 0.008);
  EXPECT_EQ(error_of("Q4_K_M", "model.layers.0.self_attn.v_proj.weight", DType::kQ6_K), q6);
  EXPECT_EQ(error_of("Q4_K_M", "model.layers.1.self_attn.v_proj.weight", DType::kQ4_K), q4);
  EXPECT_EQ(error_of("Q4_0", "lm_head.weight", DType::kQ6_K), q6);
}

TEST(QuantizeFile, FoldersAndRepeatedQuantization) {
  STRATA_REQUIRE_DATA("golden-arch/qwen3-moe");
  const test::TemporaryFolder folder;
  ThreadPool pool(2);
  const auto source = test::shared_data() / "golden-arch/qwen3-moe";
  const auto result = quantize_file(source, folder.path() / "q8.gguf", "Q8_0", pool);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const auto checkpoint = Checkpoint::open(folder.path() / "q8.gguf");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const TensorInfo* experts = checkpoint->find("model.layers.2.mlp.experts.up_proj.weight");
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->type, DType::kQ8_0);
  EXPECT_EQ(experts->shape, (std::vector<int64_t>{5, 32, 64}));
  EXPECT_EQ(checkpoint->find("model.layers.2.mlp.gate.weight")->type, DType::kF32);
  EXPECT_EQ(checkpoint->gguf()->get_int("general.file_type"), 7);

  // Copies of what is right already; fewer bits from 8 are allowed, from 4 they are not.
  ASSERT_TRUE(quantize_file(folder.path() / "q8.gguf", folder.path() / "same.gguf", "Q8_0", pool).ok());
  EXPECT_TRUE(test::read_text(folder.path() / "q8.gguf") == test::read_text(folder.path() / "same.gguf"));
  ASSERT_TRUE(quantize_file(folder.path() / "q8.gguf", folder.path() / "q4.gguf", "Q4_0", pool).ok());
  const auto refused = quantize_file(folder.path() / "q4.gguf", folder.path() / "q8-again.gguf", "Q8_0", pool);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("is already Q4_0"), std::string::npos) << refused.status().message();
  EXPECT_FALSE(fs::exists(folder.path() / "q8-again.gguf"));
  ASSERT_TRUE(quantize_file(folder.path() / "q4.gguf", folder.path() / "f16.gguf", "F16", pool).ok());
}

TEST(QuantizeFile, ErrorsAreOneLine) {
  const test::TemporaryFolder folder;
  ThreadPool pool(1);
  EXPECT_EQ(quantize_file("/nonexistent", folder.path() / "x.gguf", "Q8_0", pool).status().code(), Code::kNotFound);
  EXPECT_EQ(quantize_file("/nonexistent", folder.path() / "x.gguf", "Q9", pool).status().param(), "type");
  STRATA_REQUIRE_DATA("models/stories260k.gguf");
  EXPECT_EQ(quantize_file(test::shared_data() / "models/stories260k.gguf", "/nonexistent/x.gguf", "F16", pool)
                .status()
                .code(),
            Code::kUnavailable);
}

}  // namespace
}  // namespace strata
