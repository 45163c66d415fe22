#include "model/format/importance.h"

#include <random>

#include "base/thread_pool.h"
#include "compute/tensor/quant_blocks.h"
#include "model/format/checkpoint.h"
#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "model/format/quantize.h"
#include "test_files.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

Importance example() {
  Importance importance;
  importance.texts = {"tales.txt"};
  importance.chunks = 3;
  importance.chunk_tokens = 512;
  importance.tensors["blk.0.ffn_down.weight"] = {2, {8, 2}, {4}};
  importance.tensors["blk.0.ffn_up_exps.weight"] = {2, {1, 2, 30, 60, 0, 0}, {1, 30, 0}};
  return importance;
}

TEST(ImportanceFile, ComesBackAsWritten) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "importance.gguf";
  ASSERT_TRUE(write_importance(example(), file).ok());
  const auto read = read_importance(file);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->texts, example().texts);
  EXPECT_EQ(read->chunks, 3);
  EXPECT_EQ(read->chunk_tokens, 512);
  ASSERT_EQ(read->tensors.size(), 2u);
  const ColumnImportance& experts = read->tensors.at("blk.0.ffn_up_exps.weight");
  EXPECT_EQ(experts.matrices(), 3);
  EXPECT_EQ(experts.mean_squares(0), (std::vector<float>{1, 2}));
  EXPECT_EQ(experts.mean_squares(1), (std::vector<float>{1, 2}));
  EXPECT_EQ(experts.mean_squares(2), (std::vector<float>{1, 1})) << "nothing was summed: all columns are the same";
  EXPECT_EQ(read->tensors.at("blk.0.ffn_down.weight").mean_squares(0), (std::vector<float>{2, 0.5f}));
  // The form is llama.cpp's.
  const auto gguf = GgufFile::open(file);
  ASSERT_TRUE(gguf.ok());
  EXPECT_EQ(gguf->get_string("general.type"), "imatrix");
  EXPECT_EQ(gguf->get_int("imatrix.chunk_count"), 3);
  EXPECT_EQ(gguf->find_tensor("blk.0.ffn_up_exps.weight.in_sum2")->shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(gguf->find_tensor("blk.0.ffn_up_exps.weight.counts")->shape, (std::vector<int64_t>{3, 1}));
}

void write_file(const fs::path& path, const char* type,
                std::initializer_list<std::pair<const char*, std::vector<float>>> tensors) {
  auto writer = GgufWriter::create(path);
  ASSERT_TRUE(writer.ok());
  writer->add_string("general.type", type);
  for (const auto& [name, numbers] : tensors)
    ASSERT_TRUE(
        writer->declare_tensor(name, DType::kF32, std::vector<int64_t>{static_cast<int64_t>(numbers.size())}).ok());
  ASSERT_TRUE(writer->begin_data().ok());
  for (const auto& [name, numbers] : tensors) ASSERT_TRUE(writer->write(std::as_bytes(std::span(numbers))).ok());
  ASSERT_TRUE(writer->finish().ok());
}

TEST(ImportanceFile, ErrorsNameTheTensor) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "broken.gguf";
  const auto message = [&] {
    const auto read = read_importance(file);
    EXPECT_FALSE(read.ok());
    return std::string(read.status().message());
  };
  EXPECT_EQ(read_importance(folder.path() / "none.gguf").status().code(), Code::kNotFound);
  write_file(file, "model", {{"a.in_sum2", {1}}});
  EXPECT_NE(message().find("not an importance matrix"), std::string::npos);
  write_file(file, "imatrix", {{"a.in_sum2", {1, 2}}});
  EXPECT_NE(message().find("'a' has no counts"), std::string::npos);
  write_file(file, "imatrix", {{"a.in_sum2", {1, 2, 3}}, {"a.counts", {1, 1}}});
  EXPECT_NE(message().find("'a': sums and counts do not fit"), std::string::npos);
  for (const float bad : {-1.0f, INFINITY, NAN}) {
    write_file(file, "imatrix", {{"a.in_sum2", {1, bad}}, {"a.counts", {1}}});
    EXPECT_NE(message().find("'a.in_sum2' holds"), std::string::npos);
  }
  write_file(file, "imatrix", {{"a.counts", {1}}});
  EXPECT_NE(message().find("of no tensor"), std::string::npos);
}

// Experts [2, 16, 256] whose important columns are different ones.
class QuantizeWithImportance : public testing::Test {
 protected:
  static constexpr int64_t kRows = 16, kColumns = 256;
  QuantizeWithImportance() {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    for (float& weight : weights_) weight = normal(random);
    auto writer = GgufWriter::create(source_);
    EXPECT_TRUE(writer.ok());
    writer->add_string("general.architecture", "llama");
    writer->add_uint("llama.block_count", 1);
    EXPECT_TRUE(writer->declare_tensor(kName, DType::kF32, std::vector<int64_t>{2, kRows, kColumns}).ok());
    EXPECT_TRUE(
        writer->declare_tensor("blk.0.attn_q.weight", DType::kF32, std::vector<int64_t>{2 * kRows, kColumns}).ok());
    EXPECT_TRUE(writer->begin_data().ok());
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(writer->write(std::as_bytes(std::span(weights_))).ok());
    EXPECT_TRUE(writer->finish().ok());
    ColumnImportance& columns = importance_.tensors[kName];
    columns = {kColumns, std::vector<double>(2 * kColumns, 1.0), {1, 1}};
    for (int64_t i = 0; i < kColumns; ++i)
      columns.square_sums[static_cast<size_t>(i % 4 == 0 ? i : kColumns + i)] = 200;
  }
  // Sum of weighted squares of the errors of one expert.
  double error(int64_t expert, const Importance* importance) {
    const fs::path target = folder_.path() / "out.gguf";
    const auto result = quantize_file(source_, target, "Q4_K", pool_, {}, importance);
    EXPECT_TRUE(result.ok()) << result.status().message();
    without_ = result->without_importance;
    const auto file = GgufFile::open(target);
    const GgufTensor* tensor = file->find_tensor(kName);
    std::vector<float> row(kColumns);
    double sum = 0;
    const ColumnImportance& columns = importance_.tensors.at(kName);
    for (int64_t r = expert * kRows; r < (expert + 1) * kRows; ++r) {
      dequantize_row(DType::kQ4_K, tensor->data.data() + static_cast<size_t>(r) * row_bytes(DType::kQ4_K, kColumns),
                     row.data(), kColumns);
      for (int64_t i = 0; i < kColumns; ++i) {
        const double miss = row[static_cast<size_t>(i)] - weights_[static_cast<size_t>(r * kColumns + i)];
        sum += columns.square_sums[static_cast<size_t>(expert * kColumns + i)] * miss * miss;
      }
    }
    return sum;
  }

  static constexpr const char* kName = "blk.0.ffn_up_exps.weight";
  const test::TemporaryFolder folder_;
  fs::path source_ = folder_.path() / "f32.gguf";
  std::vector<float> weights_ = std::vector<float>(2 * kRows * kColumns);
  ThreadPool pool_{2};
  Importance importance_;
  std::vector<std::string> without_;
};

TEST_F(QuantizeWithImportance, EveryExpertHasItsOwn) {
  for (int64_t expert : {0, 1}) {
    const double without = error(expert, nullptr), with = error(expert, &importance_);
    EXPECT_LT(with, 0.96 * without) << expert;
    EXPECT_EQ(without_, (std::vector<std::string>{"blk.0.attn_q.weight"}));
  }
}

TEST_F(QuantizeWithImportance, OfAnotherModelIsRefused) {
  importance_.tensors[kName] = {2 * kColumns, std::vector<double>(2 * kColumns, 1.0), {1}};
  const auto result = quantize_file(source_, folder_.path() / "out.gguf", "Q4_K", pool_, {}, &importance_);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("another shape than the tensor"), std::string::npos);
}

}  // namespace
}  // namespace strata
