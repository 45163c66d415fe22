// Operations of a step by hand: products, a tied head, attention with and without a window.
#include "learn/train/step_cost.h"

#include <gtest/gtest.h>

#include "compute/graph/ops/ops.h"

namespace strata {
namespace {

Graph model(int64_t window) {
  Graph g;
  const Value ids = g.add_input("ids", {DType::kI32, {Dim::tokens()}});
  const Value table = g.add_weight("table", {DType::kF32, {10, 8}}, {{{"table", 0, 10, 0, 8}}});
  const Value w = g.add_weight("w", {DType::kF32, {8, 8}}, {{{"w", 0, 8, 0, 8}}});
  const Value x = ops::embed(g, table, ids);
  const Value heads = ops::reshape(g, ops::matmul(g, x, w), {Dim::tokens(), 2, 4});
  ops::Attention form;
  form.state = "cache";
  form.window = window;
  const Value attended = ops::reshape(g, ops::attention(g, heads, heads, heads, form), {Dim::tokens(), 8});
  const Value rows = g.add_input("output_rows", {DType::kI32, {Dim::outputs()}});
  const Value targets = g.add_input("targets", {DType::kI32, {Dim::outputs()}});
  g.add_output("loss", ops::head_cross_entropy(g, {ops::gather_rows(g, attended, rows), table, {}, {}}, targets));
  return g;
}

TEST(StepCost, CountsProductsOfAllThreePasses) {
  const std::vector<int32_t> ids(7), begin = {0, 3, 7}, rows = {0, 1, 2, 3, 4};
  Batch batch;
  batch.ids = ids;
  batch.query_begin = begin;
  batch.output_rows = rows;
  const double products = 6 * (7 * 8 * 8 + 5 * 10 * 8);
  const double of_pair = 3 * 2 * 2 * (4 + 4);  // 2 heads of 4 + 4 numbers
  EXPECT_EQ(StepCost(model(0)).operations(batch), products + of_pair * ((1 + 2 + 3) + (1 + 2 + 3 + 4)));
  EXPECT_EQ(StepCost(model(2)).operations(batch), products + of_pair * ((1 + 2 + 2) + (1 + 2 + 2 + 2)));
}

}  // namespace
}  // namespace strata
