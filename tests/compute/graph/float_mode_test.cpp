// A run computes in a float mode of its own; the thread that calls it has its own again afterwards.
#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "compute/graph/plan/context.h"
#include "graph_builder.h"

namespace strata {
namespace {

TEST(FloatMode, IsTheCallersOwnAfterARun) {
  Builder b;
  const Value x = ops::embed(b.graph, b.weight("x", {4, 8}), b.graph.add_input("ids", {DType::kI32, {Dim::tokens()}}));
  b.graph.add_output("y", ops::scale(b.graph, x, 1e-30));
  b.numbers.values["x"][0] = 1e-9F;
  b.numbers.values["x"][1] = 1;
  const std::vector<int32_t> ids{0, 1, 2, 3}, begin{0, 4}, context{4};
  Batch batch;
  batch.ids = ids;
  batch.query_begin = begin;
  batch.context_len = context;
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    WeightBinder binder(b.numbers, pool);
    const auto plan = Plan::make(b.graph, *find_cpu_kernels(), binder, SymbolValues::all(4));
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    ExecutionContext run(*plan, pool);
    run.run(batch);
    EXPECT_EQ(run.output("y")[0], 0);  // 1e-39, which is no number while it computes
    EXPECT_GT(run.output("y")[1], 0);
    volatile float small = 1e-39F;
    EXPECT_GT(static_cast<float>(small), 0);
    EXPECT_GT(static_cast<float>(small * 0.5F), 0);
  }
}

}  // namespace
}  // namespace strata
