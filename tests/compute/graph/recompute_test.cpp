// Pass recompute, text in and text out.
#include "compute/graph/passes/recompute.h"

#include <gtest/gtest.h>

#include "compute/graph/operations.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/plan_memory.h"
#include "compute/graph/verify.h"
#include "support/parsed_graph.h"

namespace strata {
namespace {

using test::graph;

// Two layers, x + silu(norm(x) w) and x + silu(x w), with their gradients.
constexpr std::string_view kForward = R"(%0 f32[O, 8] = input "x"
%1 f32[8] = weight "norm" = norm[0:1, 0:8]
%2 f32[O, 8] = rms_norm(%0, %1; eps=1e-06)
%3 f32[8, 8] = weight "w.0" = w.0[0:8, 0:8]
%4 f32[O, 8] = matmul(%2, %3)
%5 f32[O, 2, 4] = reshape(%4; shape="O, 2, 4")
%6 f32[O, 2, 4] = activate(%5; function="silu")
%7 f32[O, 8] = reshape(%6; shape="O, 8")
%8 f32[O, 8] = add(%0, %7)
%9 f32[8, 8] = weight "w.1" = w.1[0:8, 0:8]
%10 f32[O, 8] = matmul(%8, %9)
%11 f32[O, 8] = activate(%10; function="silu")
%12 f32[O, 8] = add(%8, %11)
%13 f32[16, 8] = weight "head" = head[0:16, 0:8]
%14 i32[O] = input "targets"
%15 f32[O] f32[O] f32[O, 8] = head_loss(%12, %13, %14; gradients=1)
%16 f32[1] = mean_loss(%15, %14)
%17 f32[16, 8] = head_loss_dw(%12, %13, %14, %15.1; gradients=1)
)";
constexpr std::string_view kPlainBackward = R"(%18 f32[O, 8] = activate_grad(%15.2, %10; function="silu")
%19 f32[O, 8] = matmul_dx(%18, %9)
%20 f32[8, 8] = matmul_dw(%18, %8)
%21 f32[O, 8] = add(%15.2, %19)
%22 f32[O, 2, 4] = reshape(%21; shape="O, 2, 4")
%23 f32[O, 2, 4] = activate_grad(%22, %5; function="silu")
%24 f32[O, 8] = reshape(%23; shape="O, 8")
%25 f32[O, 8] = matmul_dx(%24, %3)
%26 f32[8, 8] = matmul_dw(%24, %2)
%27 f32[8] = rms_norm_dw(%25, %0; eps=1e-06)
output "loss" = %16
output "grad.norm" = %27
output "grad.w.0" = %26
output "grad.w.1" = %20
output "grad.head" = %17
tap "layer.0" = %8
tap "layer.1" = %12
)";

Graph plain() { return graph(std::string(kForward) + std::string(kPlainBackward)); }

std::string recomputed(Recomputed first, Recomputed second) {
  const Recomputed of_layer[] = {first, second};
  const Graph result = recompute(plain(), of_layer);
  EXPECT_TRUE(verify(result).ok()) << verify(result).message();
  EXPECT_TRUE(verify(fuse(result)).ok());
  return to_text(result);
}

TEST(Recompute, NothingIsTheSameGraph) {
  EXPECT_EQ(recomputed(Recomputed::kNothing, Recomputed::kNothing), to_text(plain()));
}

TEST(Recompute, LayersAreComputedAgainWhereTheirGradientsBegin) {
  EXPECT_EQ(recomputed(Recomputed::kAll, Recomputed::kAll), std::string(kForward) + R"(--- segment 1
%18 f32[O, 8] = matmul(%8, %9)
%19 f32[O, 8] = activate_grad(%15.2, %18; function="silu")
%20 f32[O, 8] = matmul_dx(%19, %9)
%21 f32[8, 8] = matmul_dw(%19, %8)
%22 f32[O, 8] = add(%15.2, %20)
%23 f32[O, 2, 4] = reshape(%22; shape="O, 2, 4")
--- segment 2
%24 f32[O, 8] = rms_norm(%0, %1; eps=1e-06)
%25 f32[O, 8] = matmul(%24, %3)
%26 f32[O, 2, 4] = reshape(%25; shape="O, 2, 4")
%27 f32[O, 2, 4] = activate_grad(%23, %26; function="silu")
%28 f32[O, 8] = reshape(%27; shape="O, 8")
%29 f32[O, 8] = matmul_dx(%28, %3)
%30 f32[8, 8] = matmul_dw(%28, %24)
%31 f32[8] = rms_norm_dw(%29, %0; eps=1e-06)
output "loss" = %16
output "grad.norm" = %31
output "grad.w.0" = %30
output "grad.w.1" = %21
output "grad.head" = %17
tap "layer.0" = %8
tap "layer.1" = %12
)");
}

TEST(Recompute, RowsKeepWhatProductsGive) {
  EXPECT_EQ(recomputed(Recomputed::kRows, Recomputed::kNothing),
            std::string(kForward) + R"(%18 f32[O, 8] = activate_grad(%15.2, %10; function="silu")
%19 f32[O, 8] = matmul_dx(%18, %9)
%20 f32[8, 8] = matmul_dw(%18, %8)
%21 f32[O, 8] = add(%15.2, %19)
%22 f32[O, 2, 4] = reshape(%21; shape="O, 2, 4")
%23 f32[O, 2, 4] = activate_grad(%22, %5; function="silu")
%24 f32[O, 8] = reshape(%23; shape="O, 8")
%25 f32[O, 8] = matmul_dx(%24, %3)
--- segment 1
%26 f32[O, 8] = rms_norm(%0, %1; eps=1e-06)
%27 f32[8, 8] = matmul_dw(%24, %26)
%28 f32[8] = rms_norm_dw(%25, %0; eps=1e-06)
output "loss" = %16
output "grad.norm" = %28
output "grad.w.0" = %27
output "grad.w.1" = %20
output "grad.head" = %17
tap "layer.0" = %8
tap "layer.1" = %12
)");
}

TEST(Recompute, MemoryFallsAndWorkRises) {
  SymbolValues sizes;
  sizes[Symbol::kOutputs] = 4096;
  std::vector<size_t> bytes;
  std::vector<double> work;
  for (const Recomputed what : {Recomputed::kNothing, Recomputed::kRows, Recomputed::kAll}) {
    const Recomputed of_layer[] = {what, Recomputed::kNothing};
    const Graph result = fuse(recompute(plain(), of_layer));
    const MemoryPlan memory = plan_memory(result, schedule_waves(result), sizes);
    EXPECT_LE(memory.bytes_inside, memory.bytes);
    bytes.push_back(memory.bytes_inside);
    work.push_back(count_operations(result, sizes, 1));
  }
  EXPECT_LT(bytes[1], bytes[0]);
  EXPECT_LT(bytes[2], bytes[1]);
  EXPECT_GT(work[1], work[0]);
  EXPECT_GT(work[2], work[1]);
}

TEST(Operations, CountProductsAndAttention) {
  SymbolValues sizes;
  sizes[Symbol::kOutputs] = 10;
  sizes[Symbol::kTokens] = 100;
  const Graph g = plain();
  const auto of = [&](size_t node) { return count_operations(g, g.nodes()[node], sizes, 1); };
  EXPECT_EQ(of(4), 2 * 10 * 8 * 8);
  EXPECT_EQ(of(19), 2 * 10 * 8 * 8);
  EXPECT_EQ(of(20), 2 * 10 * 8 * 8);
  EXPECT_EQ(of(15), 2 * 2 * 10 * 8 * 16) << "logits, and the gradient by x";
  EXPECT_EQ(of(17), 2 * 2 * 10 * 8 * 16) << "logits again, and the gradient by the head";
  EXPECT_EQ(of(5), 0) << "a view";
  EXPECT_GT(of(6), 0);
  const Graph attention = graph(R"(%0 f32[T, 4, 16] = input "q"
%1 f32[T, 2, 16] = input "k"
%2 f32[T, 2, 8] = input "v"
%3 f32[T, 4, 8] f32[T, 4] = attention(%0, %1, %2; state="cache.0", scale=0.25)
%4 f32[T, 4, 8] = input "d"
%5 f32[T, 4, 16] f32[T, 2, 16] f32[T, 2, 8] = attention_grad(%0, %1, %2, %3, %3.1, %4; state="cache.0", scale=0.25)
)");
  EXPECT_EQ(count_operations(attention, attention.nodes()[3], sizes, 25), 2 * 100 * 4 * 25 * (16 + 8));
  EXPECT_EQ(count_operations(attention, attention.nodes()[5], sizes, 25), 2 * 100 * 4 * 25 * (3 * 16 + 2 * 8));
}

}  // namespace
}  // namespace strata
