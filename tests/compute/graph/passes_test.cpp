// Passes, text in and text out.
#include <gtest/gtest.h>

#include "compute/graph/passes/adapters.h"
#include "compute/graph/passes/cut.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/keep_matmul_inputs.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/passes/plan_memory.h"
#include "compute/graph/passes/quantize.h"
#include "compute/graph/passes/select_width.h"
#include "compute/graph/passes/shard.h"
#include "compute/graph/passes/train_adapters.h"
#include "compute/graph/verify.h"
#include "support/parsed_graph.h"

namespace strata {
namespace {

void expect_all_in(const std::string& text, std::initializer_list<const char*> lines) {
  for (const char* line : lines) EXPECT_NE(text.find(line), std::string::npos) << line << " in\n" << text;
}

using test::graph;

// A feed-forward block: norm, gate and up, down, residual.
constexpr std::string_view kFeedForward = R"(%0 f32[T, 64] = input "x"
%1 f32[64] = weight "norm" = norm[0:1, 0:64]
%2 f32[T, 64] = rms_norm(%0, %1; eps=1e-06)
%3 q8_0[96, 64] = weight "gate" = gate[0:96, 0:64]
%4 f32[T, 96] = matmul(%2, %3)
%5 q8_0[96, 64] = weight "up" = up[0:96, 0:64]
%6 f32[T, 96] = matmul(%2, %5)
%7 f32[T, 96] = gated(%4, %6; function="silu")
%8 f32[64, 96] = weight "down" = down[0:64, 0:96]
%9 f32[T, 64] = matmul(%7, %8)
%10 f32[T, 64] = add(%0, %9)
output "y" = %10
)";

constexpr std::string_view kAttention = R"(%0 f32[T, 4, 16] = input "q"
%1 f32[T, 2, 16] = input "k"
%2 f32[T, 2, 16] = input "v"
%3 f32[T, 4, 16] f32[T, 4] = attention(%0, %1, %2; state="cache.0", scale=0.25)
output "y" = %3
)";

constexpr std::string_view kAlibi = R"(%0 f32[T, 2, 16] = input "q"
%1 f32[T, 2, 16] = input "k"
%2 f32[T, 2, 16] = input "v"
%3 f32[T, 2, 16] f32[T, 2] = attention(%0, %1, %2; state="cache.0", scale=0.25, alibi=[0.5, 0.25], alibi_rounded=1)
output "y" = %3
)";

TEST(GraphText, ReadsWhatItWrites) {
  EXPECT_EQ(to_text(graph(kAlibi)), kAlibi);
  EXPECT_EQ(to_text(graph(kFeedForward)), kFeedForward);
  EXPECT_EQ(to_text(graph(kAttention)), kAttention);
}

TEST(GraphText, NamesTheLineAtFault) {
  const Result<Graph> bad = parse_graph("%0 f32[T, 64] = input \"x\"\n%1 f32[T, 64] = nothing(%0)\n");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.status().message().find("line 2"), std::string::npos) << bad.status().message();
}

TEST(Verify, RejectsWrongTypesAndBackwardSegments) {
  Graph wrong = graph(kFeedForward);
  EXPECT_TRUE(verify(wrong).ok());
  wrong.nodes()[4].outputs[0].shape.back() = 95;
  EXPECT_FALSE(verify(wrong).ok());
  Graph backwards = graph(kFeedForward);
  backwards.nodes()[4].segment = 1;
  EXPECT_FALSE(verify(backwards).ok());
  Graph chained = graph(kFeedForward);
  chained.nodes()[4].chain = 0;
  EXPECT_FALSE(verify(chained).ok()) << "a matmul is not row-wise";
}

TEST(Quantize, OneConversionServesAllMatmulsOfAValue) {
  const CpuKernels* kernels = find_cpu_kernels("reference");
  EXPECT_EQ(to_text(quantize(graph(kFeedForward), *kernels)), R"(%0 f32[T, 64] = input "x"
%1 f32[64] = weight "norm" = norm[0:1, 0:64]
%2 f32[T, 64] = rms_norm(%0, %1; eps=1e-06)
%3 q8_0[96, 64] = weight "gate" = gate[0:96, 0:64]
%4 actq8x32[T, 64] = to_activation(%2; form="ActQ8x32")
%5 f32[T, 96] = matmul(%4, %3)
%6 q8_0[96, 64] = weight "up" = up[0:96, 0:64]
%7 f32[T, 96] = matmul(%4, %6)
%8 f32[T, 96] = gated(%5, %7; function="silu")
%9 f32[64, 96] = weight "down" = down[0:64, 0:96]
%10 f32[T, 64] = matmul(%8, %9)
%11 f32[T, 64] = add(%0, %10)
output "y" = %11
)");
}

TEST(LowerAttention, PagedCacheIsAStateThatIsWrittenThenRead) {
  EXPECT_EQ(to_text(lower_attention_paged(graph(kAttention), DType::kF16)), R"(%0 f32[T, 4, 16] = input "q"
%1 f32[T, 2, 16] = input "k"
%2 f32[T, 2, 16] = input "v"
%3 f16[] = state "cache.0" (n_kv_heads=2, k_dim=16, v_dim=16)
%4 f16[] = cache_write(%3, %1, %2)
%5 f32[T, 4, 16] f32[8192, 32] = paged_attention(%0, %4; scale=0.25, v_dim=16)
output "y" = %5
)");
}

TEST(LowerAttention, KeepsLinearBiases) {
  const std::string paged = to_text(lower_attention_paged(graph(kAlibi), DType::kF32));
  EXPECT_NE(paged.find("paged_attention(%0, %4; scale=0.25, v_dim=16, alibi=[0.5, 0.25], alibi_rounded=1)"),
            std::string::npos)
      << paged;
  EXPECT_NE(to_text(lower_attention_segments(graph(kAlibi))).find("scale=0.25, alibi=[0.5, 0.25], alibi_rounded=1)"),
            std::string::npos);
  EXPECT_FALSE(parse_graph(R"(%0 f32[T, 2, 16] = input "q"
%1 f32[T, 2, 16] f32[T, 2] = attention(%0, %0, %0; state="cache.0", scale=0.25, alibi=[0.5])
)")
                   .ok())
      << "one slope, two heads";
}

TEST(Fuse, RowWiseNeighboursBecomeChains) {
  const CpuKernels* kernels = find_cpu_kernels("reference");
  const Graph fused = fuse(quantize(graph(kFeedForward), *kernels));
  ASSERT_TRUE(verify(fused).ok()) << verify(fused).message();
  const auto chain = [&](std::string_view op) {
    for (const Node& node : fused.nodes()) {
      if (to_text(fused).empty() || node.kind != NodeKind::kOp) continue;
      if (op == "norm" && node.inputs.size() == 2 && node.attributes.has("eps")) return node.chain;
      if (op == "convert" && node.attributes.has("form")) return node.chain;
    }
    return -1;
  };
  EXPECT_GE(chain("norm"), 0);
  EXPECT_EQ(chain("norm"), chain("convert"));
  // norm + convert | gate, up | gated | down | add
  EXPECT_EQ(schedule_waves(fused).waves.size(), 5U);
}

TEST(Cut, SegmentsFollowTheCut) {
  Graph whole = graph(kFeedForward);
  const Graph parts = cut(whole, std::vector<Value>{{7, 0}});
  ASSERT_TRUE(verify(parts).ok());
  EXPECT_EQ(parts.nodes()[7].segment, 0);
  EXPECT_EQ(parts.nodes()[9].segment, 1);
  const Schedule schedule = schedule_waves(parts);
  EXPECT_EQ(schedule.segment_of_wave.front(), 0);
  EXPECT_EQ(schedule.segment_of_wave.back(), 1);
}

TEST(PlanMemory, ReusesWhatIsDeadAndNothingElse) {
  const Graph g = graph(kFeedForward);
  const Schedule schedule = schedule_waves(g);
  SymbolValues maxima;
  maxima[Symbol::kTokens] = 10;
  const MemoryPlan memory = plan_memory(g, schedule, maxima);
  EXPECT_LT(memory.bytes, memory.bytes_unshared);
  // Any two values alive in the same wave lie apart, but for an op working in place on its own input.
  const auto users = g.users();
  for (size_t a = 0; a < g.nodes().size(); ++a) {
    for (size_t b = a + 1; b < g.nodes().size(); ++b) {
      if (memory.offset[a][0] == MemoryPlan::kNowhere || memory.offset[b][0] == MemoryPlan::kNowhere) continue;
      int last_use = schedule.wave_of_node[a];
      for (const int32_t user : users[a])
        last_use = std::max(last_use, schedule.wave_of_node[static_cast<size_t>(user)]);
      const bool in_place =
          !users[a].empty() && users[a].back() == static_cast<int32_t>(b) && memory.offset[a][0] == memory.offset[b][0];
      if (last_use < schedule.wave_of_node[b] || in_place) continue;
      const size_t a_end = memory.offset[a][0] + g.nodes()[a].outputs[0].bytes(maxima);
      const size_t b_end = memory.offset[b][0] + g.nodes()[b].outputs[0].bytes(maxima);
      EXPECT_TRUE(a_end <= memory.offset[b][0] || b_end <= memory.offset[a][0]) << "%" << a << " and %" << b;
    }
  }
}

TEST(ShardTensor, DividesColumnsThenRowsAndSums) {
  const Result<Graph> sharded = shard_tensor(graph(kFeedForward), 1, 3);
  ASSERT_TRUE(sharded.ok()) << sharded.status().message();
  EXPECT_EQ(to_text(*sharded), R"(%0 f32[T, 64] = input "x"
%1 f32[64] = weight "norm" = norm[0:1, 0:64]
%2 f32[T, 64] = rms_norm(%0, %1; eps=1e-06)
%3 q8_0[32, 64] = weight "gate@1/3" = gate[32:64, 0:64]
%4 f32[T, 32] = matmul(%2, %3)
%5 q8_0[32, 64] = weight "up@1/3" = up[32:64, 0:64]
%6 f32[T, 32] = matmul(%2, %5)
%7 f32[T, 32] = gated(%4, %6; function="silu")
%8 f32[64, 32] = weight "down@1/3" = down[0:64, 32:64]
%9 f32[T, 64] = matmul(%7, %8)
%10 f32[T, 64] = all_sum(%9)
%11 f32[T, 64] = add(%0, %10)
output "y" = %11
)");
}

TEST(ShardTensor, KeepsQuantizationBlocksWhole) {
  std::string text(kFeedForward);
  text.replace(text.find("f32[64, 96] = weight"), 11, "q8_0[64, 96]");
  const Result<Graph> sharded = shard_tensor(graph(text), 0, 2);
  ASSERT_FALSE(sharded.ok());
  EXPECT_NE(sharded.status().message().find("down"), std::string::npos) << sharded.status().message();
}

TEST(AddAdapters, MatmulsOfAValueShareTheirFirstProducts) {
  const GraphWithAdapters adapted = add_adapters(graph(kFeedForward), 4);
  ASSERT_TRUE(verify(adapted.graph).ok());
  const std::string text = to_text(adapted.graph);
  expect_all_in(text, {"lora_down(%2, %4; first=0, count=2, rank=4)", "lora_up(%6, %5, %4; second=0, column=0)",
                           "second=1, column=4)", "first=2, count=1, rank=4)", "second=2, column=0)"});
  ASSERT_EQ(adapted.places.first.size(), 3u);
  EXPECT_EQ(adapted.places.first[1].tensor, "up");
  EXPECT_EQ(adapted.places.first[1].type, DType::kI8);
  EXPECT_EQ(adapted.places.first[2].type, DType::kF32);
  EXPECT_EQ(adapted.places.second[2].site.n, 64);
}

// A fused projection: q and k are rows of one tensor in groups, their biases numbers of one vector, v every other row.
constexpr const char* kFused = R"(%0 f32[T, 64] = input "x"
%1 f32[32, 64] = weight "q" = qkv[0:16, 0:64] + qkv[32:48, 0:64]
%2 f32[T, 32] = matmul(%0, %1)
%3 f32[32] = weight "q.bias" = qkv.bias[0:1, 0:16] + qkv.bias[0:1, 32:48]
%4 f32[T, 32] = add_bias(%2, %3)
%5 f32[T, 4, 8] = reshape(%4; shape="T, 4, 8")
%6 f32[32, 64] = weight "v" = wide[1:64:2, 0:64]
%7 f32[T, 32] = matmul(%0, %6)
%8 f32[T, 4, 8] = reshape(%7; shape="T, 4, 8")
%9 f32[32, 64] = weight "turned" = conv[0:64, 32:64] transposed
%10 f32[T, 32] = matmul(%0, %9)
%11 f32[T, 4, 8] = reshape(%10; shape="T, 4, 8")
%12 f32[4] = weight "sinks" = sinks[0:1, 0:4]
%13 f32[T, 4, 8] f32[T, 4] = attention(%5, %11, %8, %12; state="cache.0", scale=0.5)
%14 f32[T, 32] = reshape(%13; shape="T, 32")
%15 f32[64, 32] = weight "o" = o[0:32, 0:64] transposed
%16 f32[T, 64] = matmul(%14, %15)
output "y" = %16
)";

TEST(WeightReferences, RoundTripThroughTheirText) { EXPECT_EQ(to_text(graph(kFused)), kFused); }

TEST(ShardTensor, FollowsRowsOfFusedTensors) {
  const Result<Graph> sharded = shard_tensor(graph(kFused), 1, 4);
  ASSERT_TRUE(sharded.ok()) << sharded.status().message();
  const std::string text = to_text(*sharded);
  expect_all_in(text, {"\"q@1/4\" = qkv[8:16, 0:64]", "\"q.bias@1/4\" = qkv.bias[0:1, 8:16]",
                           "\"v@1/4\" = wide[17:33:2, 0:64]", "\"turned@1/4\" = conv[0:64, 40:48] transposed",
                           "\"sinks@1/4\" = sinks[0:1, 1:2]", "\"o@1/4\" = o[8:16, 0:64] transposed"});
  const std::string last = to_text(*shard_tensor(graph(kFused), 1, 2));
  EXPECT_NE(last.find("\"q@1/2\" = qkv[32:48, 0:64]"), std::string::npos) << last;
  EXPECT_NE(last.find("\"q.bias@1/2\" = qkv.bias[0:1, 32:48]"), std::string::npos) << last;
}

TEST(SelectWidth, TakesTheFirstNeurons) {
  std::string text(kFeedForward);
  text += "tap \"layer.0\" = %10\n";
  const Result<Graph> narrow = select_width(graph(text), 96, 33);
  ASSERT_TRUE(narrow.ok()) << narrow.status().message();
  EXPECT_TRUE(verify(*narrow).ok());
  EXPECT_EQ(to_text(*narrow), R"(%0 f32[T, 64] = input "x"
%1 f32[64] = weight "norm" = norm[0:1, 0:64]
%2 f32[T, 64] = rms_norm(%0, %1; eps=1e-06)
%3 q8_0[33, 64] = weight "gate@33" = gate[0:33, 0:64]
%4 f32[T, 33] = matmul(%2, %3)
%5 q8_0[33, 64] = weight "up@33" = up[0:33, 0:64]
%6 f32[T, 33] = matmul(%2, %5)
%7 f32[T, 33] = gated(%4, %6; function="silu")
%8 f32[64, 33] = weight "down@33" = down[0:64, 0:33]
%9 f32[T, 64] = matmul(%7, %8)
%10 f32[T, 64] = add(%0, %9)
output "y" = %10
tap "layer.0" = %10
)");
  EXPECT_EQ(to_text(*select_width(graph(text), 96, 96)), text);
}

// A feed-forward whose weights are one fused tensor of alternating rows with biases, and one that is stored transposed.
constexpr std::string_view kNested = R"(%0 f32[T, 64] = input "x"
%1 f32[48, 64] = weight "gate" = both[0:96:2, 0:64]
%2 f32[T, 48] = matmul(%0, %1)
%3 f32[48] = weight "gate.bias" = both.bias[0:1, 0:96:2]
%4 f32[T, 48] = add_bias(%2, %3)
%5 f32[48, 64] = weight "up" = both[1:96:2, 0:64]
%6 f32[T, 48] = matmul(%0, %5)
%7 f32[T, 48] = gated(%4, %6; function="silu")
%8 f32[64, 48] = weight "down" = down[0:48, 0:64] transposed
%9 f32[T, 64] = matmul(%7, %8)
%10 f32[24, 64] = weight "other" = other[0:64, 0:24] transposed
%11 f32[T, 24] = matmul(%9, %10)
%12 f32[T, 24] = activate(%11; function="silu")
%13 f32[64, 24] = weight "back" = back[0:64, 0:24]
%14 f32[T, 64] = matmul(%12, %13)
output "y" = %14
tap "exit.0" = %14
)";

TEST(SelectWidth, FollowsReferencesAndLeavesOtherWidths) {
  const std::string text = to_text(*select_width(graph(kNested), 48, 16));
  expect_all_in(text, {"\"gate@16\" = both[0:32:2, 0:64]", "\"gate.bias@16\" = both.bias[0:1, 0:32:2]",
                           "\"up@16\" = both[1:33:2, 0:64]", "\"down@16\" = down[0:16, 0:64] transposed",
                           "\"other\" = other[0:64, 0:24] transposed", "\"back\" = back[0:64, 0:24]"});
  const std::string other = to_text(*select_width(graph(kNested), 24, 8));
  EXPECT_NE(other.find("\"other@8\" = other[0:64, 0:8] transposed"), std::string::npos) << other;
  EXPECT_EQ(other.find("gate@"), std::string::npos) << other;
}

TEST(SelectWidth, SaysWhatCannotBe) {
  std::string blocks(kFeedForward);
  blocks.replace(blocks.find("f32[64, 96] = weight"), 11, "q8_0[64, 96]");
  EXPECT_TRUE(select_width(graph(blocks), 96, 64).ok());
  struct Fault {
    int64_t full, width;
    const char* message;
  };
  for (const Fault& fault : {Fault{96, 48, "down is stored in blocks of 32 numbers, which a width of 48 would cut"},
                             Fault{96, 0, "a width of 0, expected 1 to 96"},
                             Fault{96, 97, "a width of 97, expected 1 to 96"},
                             Fault{80, 40, "no feed-forward is 80 wide"}}) {
    const Result<Graph> narrow = select_width(graph(blocks), fault.full, fault.width);
    ASSERT_FALSE(narrow.ok()) << fault.message;
    EXPECT_NE(narrow.status().message().find(fault.message), std::string::npos) << narrow.status().message();
  }
}

TEST(AddAdapters, OfAFusedTensorFollowItsRows) {
  const AdapterPlaces places = add_adapters(graph(kFused), 2).places;
  ASSERT_EQ(places.first.size(), 4u);  // qkv, wide and conv of x; o
  ASSERT_EQ(places.second.size(), 4u);
  const AdapterSite& q = places.second[0].site;
  EXPECT_EQ(q.tensor, "qkv");
  ASSERT_EQ(q.rows.size(), 2u);
  EXPECT_EQ(q.rows[1].row_begin, 32);
  EXPECT_EQ(places.second[1].site.rows[0].row_step, 2);
  const AdapterSite& turned = places.second[2].site;  // its outputs are columns of the tensor
  EXPECT_TRUE(turned.is_transposed);
  EXPECT_EQ(turned.rows[0].row_begin, 32);
  EXPECT_EQ(turned.rows[0].row_end, 64);
}

TEST(TrainAdapters, StandBesideTheirMatmuls) {
  const Graph trained = train_adapters(graph(kFused), {{"qkv", 2, 0.5}, {"o", 3, 1}});
  ASSERT_TRUE(verify(trained).ok());
  const std::string text = to_text(trained);
  expect_all_in(text, {"f32[2, 64] = weight \"lora_a.qkv\" = lora_a.qkv[0:2, 0:64]",
                           "f32[32, 2] = weight \"lora_b.q\" = lora_b.qkv[0:16, 0:2] + lora_b.qkv[32:48, 0:2]",
                           "f32[3, 32] = weight \"lora_a.o\" = lora_a.o[0:3, 0:32]",
                           "f32[64, 3] = weight \"lora_b.o\" = lora_b.o[0:64, 0:3]", "factor=0.5"});
  EXPECT_EQ(text.find("lora_a.wide"), std::string::npos) << text;
}

TEST(Differentiate, SaysWhichOpHasNoGradient) {
  const Result<Graph> failed = differentiate(graph(R"(%0 f32[T, 8] = input "x"
%1 f32[8] = weight "w" = w[0:1, 0:8]
%2 f32[T, 8] = add_bias(%0, %1)
%3 f32[T, 8] = add_bias(%2, %1)
%4 actbf16[T, 8] = to_activation(%3; form="ActBF16")
output "loss" = %4
)"));
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.status().message().find("to_activation"), std::string::npos);
}

TEST(KeepMatmulInputs, BecomeOutputsBeforeTheyAreQuantized) {
  const Graph kept = keep_matmul_inputs(graph(kFeedForward));
  EXPECT_EQ(to_text(kept), std::string(kFeedForward) + R"(output "input:gate" = %2
output "input:up" = %2
output "input:down" = %7
)");
  const CpuKernels* kernels = find_cpu_kernels("generic");
  const Graph lowered = quantize(kept, *kernels);
  for (const char* name : {"input:gate", "input:up", "input:down"})
    EXPECT_EQ(lowered.type(lowered.find_output(name)).dtype, DType::kF32) << name;
}

}  // namespace
}  // namespace strata
