#include "model/format/published_rows.h"

#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "compute/tensor/quant_blocks.h"
#include "model/format/quantize.h"
#include "test_data.h"
#include "test_files.h"

namespace strata {
namespace {

using test::TemporaryFolder;

std::vector<float> numbers(const TensorInfo& tensor, int64_t row) {
  std::vector<float> out(static_cast<size_t>(tensor.shape.back()));
  std::vector<std::byte> buffer;
  dequantize_row(tensor.type, tensor.rows(row, row + 1, buffer).data(), out.data(), tensor.shape.back());
  return out;
}

// Every matrix of a folder against the same in the GGUF file made of it.
class PublishedRows : public testing::TestWithParam<const char*> {};

TEST_P(PublishedRows, SayWhereGgufHasTheOutputsOfAWeight) {
  const std::filesystem::path folder = test::source_dir() / "tests/data/arch" / GetParam();
  const TemporaryFolder out;
  ThreadPool pool(1);
  const auto made = quantize_file(folder, out.path() / "model.gguf", "F32", pool);
  ASSERT_TRUE(made.ok()) << made.status().message();
  const Checkpoint published = *Checkpoint::open(folder), stored = *Checkpoint::open(out.path() / "model.gguf");
  int compared = 0, moved = 0;
  for (const TensorInfo& tensor : stored.tensors()) {
    const TensorInfo* source = published.find(tensor.name);
    if (source == nullptr || tensor.shape.size() != 2 || source->shape != tensor.shape || tensor.name == "lm_head.weight")
      continue;
    const int64_t n = tensor.shape[0];
    const auto rows = published_rows(stored, tensor.name, n);
    ASSERT_TRUE(rows.ok()) << rows.status().message();
    EXPECT_TRUE(published_rows(published, tensor.name, n)->empty());
    for (int64_t row = 0; row < n; ++row) {
      const int64_t from = rows->empty() ? row : (*rows)[static_cast<size_t>(row)];
      ASSERT_EQ(numbers(tensor, row), numbers(*source, from)) << tensor.name << " row " << row;
      moved += from != row ? 1 : 0;
    }
    ++compared;
  }
  EXPECT_GT(compared, 4);
  const std::string name = GetParam();
  const bool moves = name == "smollm3" || name == "granite" || name == "gpt-neox" || name == "falcon-40b";
  EXPECT_EQ(moved > 0, moves) << moved;
}

INSTANTIATE_TEST_SUITE_P(Models, PublishedRows,
                         testing::Values("smollm3", "granite", "gpt-neox", "falcon-40b", "falcon-7b", "olmoe", "phi",
                                         "starcoder2", "glm"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(PublishedRows, OfHeadsThatDoNotDivideAreRefused) {
  const TemporaryFolder out;
  ThreadPool pool(1);
  ASSERT_TRUE(
      quantize_file(test::source_dir() / "tests/data/arch/granite", out.path() / "model.gguf", "F32", pool).ok());
  const Checkpoint stored = *Checkpoint::open(out.path() / "model.gguf");
  EXPECT_FALSE(published_rows(stored, "model.layers.0.self_attn.q_proj.weight", 63).ok());
}

}  // namespace
}  // namespace strata
