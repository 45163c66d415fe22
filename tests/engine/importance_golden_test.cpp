// What the collector sums is what the matmuls of a model read.
#include <gtest/gtest.h>

#include <cmath>

#include "compute/tensor/quant_blocks.h"
#include "engine/importance_collector.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

// The importance after one step with these tokens.
Importance measured(const Model& model, const std::vector<int32_t>& ids, int threads) {
  ThreadPool pool(threads);
  RunnerOptions options;
  options.keep_matmul_inputs = true;
  options.cache_type = DType::kF32;
  auto runner = ModelRunner::make(model, *find_cpu_kernels(), pool, options);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  auto collector = ImportanceCollector::make(model);
  EXPECT_TRUE(collector.ok()) << collector.status().message();
  const auto n = static_cast<int64_t>(ids.size()), n_blocks = (n + kBlockTokens - 1) / kBlockTokens;
  for (int64_t block = 0; block < n_blocks; ++block) (*runner)->clear_block(static_cast<int32_t>(block));
  test::BatchBuilder whole(n_blocks);
  whole.add(ids, {0, 0, n, n});
  EXPECT_TRUE((*runner)->run(whole.batch()).ok());
  collector->add(**runner);
  return collector->importance();
}

std::vector<int32_t> some_ids(int n, int vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) ids[static_cast<size_t>(i)] = (i * 37 + 11) % vocab;
  return ids;
}

TEST(ImportanceCollector, SumsTheSquaresOfEveryInput) {
  const auto model = Model::load(test::source_dir() / "models/strata-tales.gguf");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const std::vector<int32_t> ids = some_ids(40, 2000);
  const Importance importance = measured(**model, ids, 2);
  EXPECT_EQ(importance.tensors.size(), 57u);  // seven matrices of eight layers, and the output
  for (const auto& [name, columns] : importance.tensors) EXPECT_EQ(columns.counts, std::vector<double>{40}) << name;
  const auto& q = importance.tensors.at("blk.0.attn_q.weight").square_sums;
  EXPECT_EQ(q, importance.tensors.at("blk.0.attn_v.weight").square_sums);
  EXPECT_NE(q, importance.tensors.at("blk.0.ffn_up.weight").square_sums);

  // The first layer reads normalized embeddings.
  const TensorInfo& embedding = *(*model)->checkpoint().find("model.embed_tokens.weight");
  const TensorInfo& norm = *(*model)->checkpoint().find("model.layers.0.input_layernorm.weight");
  std::vector<float> row(256), factors(256);
  dequantize_row(norm.type, norm.data.data(), factors.data(), 256);
  const double eps = (*model)->checkpoint().config().get_double("rms_norm_eps").value_or(1e-5);
  std::vector<double> expected(256);
  for (const int32_t id : ids) {
    dequantize_row(embedding.type, embedding.data.data() + static_cast<size_t>(id) * row_bytes(embedding.type, 256),
                   row.data(), 256);
    double squares = 0;
    for (const float x : row) squares += static_cast<double>(x) * x;
    for (size_t i = 0; i < 256; ++i) expected[i] += std::pow(row[i] * factors[i], 2) / (squares / 256 + eps);
  }
  for (size_t i = 0; i < 256; ++i) EXPECT_NEAR(q[i], expected[i], 1e-4 * expected[i]) << i;

  const Importance again = measured(**model, ids, 1);
  for (const auto& [name, columns] : importance.tensors)
    EXPECT_EQ(columns.square_sums, again.tensors.at(name).square_sums) << name << ": depends on the threads";
}

// A token's experts read what the router reads.
TEST(ImportanceCollector, ExpertsHaveSumsOfTheirOwn) {
  STRATA_REQUIRE_DATA("golden-arch/qwen3-moe");
  const auto model = Model::load(test::shared_data() / "golden-arch/qwen3-moe");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto n_used = static_cast<double>((*model)->config().n_experts_used);
  const Importance importance = measured(**model, some_ids(48, static_cast<int>((*model)->config().vocab)), 2);
  const ColumnImportance& experts = importance.tensors.at("blk.2.ffn_up_exps.weight");
  const ColumnImportance& router = importance.tensors.at("blk.2.ffn_gate_inp.weight");
  ASSERT_EQ(experts.matrices(), (*model)->config().n_experts);
  EXPECT_EQ(std::accumulate(experts.counts.begin(), experts.counts.end(), 0.0), 48 * n_used);
  EXPECT_EQ(experts.square_sums, importance.tensors.at("blk.2.ffn_gate_exps.weight").square_sums);
  for (int64_t i = 0; i < experts.columns; ++i) {
    double sum = 0;
    for (int64_t e = 0; e < experts.matrices(); ++e)
      sum += experts.square_sums[static_cast<size_t>(e * experts.columns + i)];
    const double expected = n_used * router.square_sums[static_cast<size_t>(i)];
    EXPECT_NEAR(sum, expected, 1e-9 * expected) << i;
  }
  const ColumnImportance& down = importance.tensors.at("blk.2.ffn_down_exps.weight");
  EXPECT_EQ(down.counts, experts.counts);
}

}  // namespace
}  // namespace strata
