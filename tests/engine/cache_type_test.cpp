#include "engine/cache_type.h"

#include <gtest/gtest.h>

#include "compute/graph/ops/ops.h"

namespace strata {
namespace {

// A large matmul of weights of `type` beside a small one of F32, as the router of experts is.
Graph graph_of(DType type) {
  Graph graph;
  const Value x = graph.add_input("x", {DType::kF32, {Dim::tokens(), Dim(64)}});
  ops::matmul(graph, x, graph.add_weight("large", {type, {Dim(256), Dim(64)}}, {}));
  ops::matmul(graph, x, graph.add_weight("router", {DType::kF32, {Dim(8), Dim(64)}}, {}));
  return graph;
}

TEST(CacheType, FollowsWhatMostWeightsAre) {
  CpuKernels fast{}, plain{};
  fast.attends_in_bfloat = true;
  for (DType type : {DType::kQ8_0, DType::kQ4_0, DType::kBF16}) {
    EXPECT_EQ(suitable_cache_type(graph_of(type), fast), DType::kBF16) << name(type);
    EXPECT_EQ(suitable_cache_type(graph_of(type), plain), DType::kF16) << name(type);
  }
  for (DType type : {DType::kF32, DType::kF16}) EXPECT_EQ(suitable_cache_type(graph_of(type), fast), DType::kF16);
}

}  // namespace
}  // namespace strata
