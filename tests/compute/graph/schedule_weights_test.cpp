// Pass schedule_weights, text in and text out.
#include "compute/graph/passes/schedule_weights.h"

#include <gtest/gtest.h>

#include "compute/graph/op.h"
#include "compute/graph/verify.h"
#include "support/parsed_graph.h"

namespace strata {
namespace {

using test::graph;

// Three products, the second between two ops of one chain.
constexpr std::string_view kThree = R"(%0 f32[T, 64] = input "x"
%1 f32[64, 64] = weight "a" = a[0:64, 0:64]
%2 f32[T, 64] = matmul(%0, %1)
%3 f32[T, 64] = scale(%2; factor=2.)  {chain 1}
%4 f32[128, 64] = weight "b" = b[0:128, 0:64]
%5 f32[T, 128] = matmul(%2, %4)
%6 f32[T, 64] = add(%3, %0)  {chain 1}
%7 f32[32, 64] = weight "c" = c[0:32, 0:64]
%8 f32[T, 32] = matmul(%6, %7)
output "y" = %8
output "z" = %5
)";

uint64_t packed_bytes(const Node& op, size_t input) {
  if (op.op->name != "matmul" || input != 1) return 0;
  return op.outputs[0].last().factor == 64 ? 16384 : op.outputs[0].last().factor == 128 ? 32768 : 8192;
}

TEST(ScheduleWeights, LeavesWhatFitsAsItIs) {
  const Result<WeightSchedule> schedule = schedule_weights(graph(kThree), packed_bytes, 1000, 58344, 16384);
  ASSERT_TRUE(schedule.ok());
  EXPECT_EQ(to_text(schedule->graph), kThree);
  EXPECT_EQ(schedule->resident_bytes, 58344U);
  EXPECT_EQ(schedule->streamed_bytes, 0U);
  EXPECT_EQ(schedule->buffer_bytes, 0U);
}

TEST(ScheduleWeights, KeepsTheLargestAndCutsBetweenChains) {
  // With b in memory the buffer is that for a: 3 / 2 * (4096 + 16384).
  const Result<WeightSchedule> schedule = schedule_weights(graph(kThree), packed_bytes, 0, 32768 + 32768, 4096);
  ASSERT_FALSE(schedule.ok() && schedule->buffer_bytes > 0);  // 57344 fit
  const Result<WeightSchedule> tight = schedule_weights(graph(kThree), packed_bytes, 0, 32768 + 12288 + 8192, 4096);
  ASSERT_FALSE(tight.ok());
  EXPECT_NE(tight.status().message().find("at least"), std::string::npos) << tight.status().message();
}

TEST(ScheduleWeights, StreamsInWindows) {
  const auto equal = [](const Node& op, size_t input) -> uint64_t { return packed_bytes(op, input) == 0 ? 0 : 8192; };
  const Result<WeightSchedule> schedule = schedule_weights(graph(kThree), equal, 0, 20000, 4096);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  EXPECT_TRUE(verify(schedule->graph).ok());
  EXPECT_EQ(schedule->buffer_bytes, 18432U);  // 3 / 2 * (4096 + 8192)
  EXPECT_EQ(schedule->resident_bytes, 0U);
  EXPECT_EQ(schedule->streamed_bytes, 3 * 8192U);
  EXPECT_EQ(to_text(schedule->graph), R"(%0 f32[T, 64] = input "x"
%1 f32[64, 64] = weight "a" = a[0:64, 0:64]  {streamed}
%2 f32[T, 64] = matmul(%0, %1)
--- segment 1
%3 f32[T, 64] = scale(%2; factor=2.)  {chain 1}
%4 f32[128, 64] = weight "b" = b[0:128, 0:64]  {streamed}
%5 f32[T, 128] = matmul(%2, %4)
%6 f32[T, 64] = add(%3, %0)  {chain 1}
%7 f32[32, 64] = weight "c" = c[0:32, 0:64]  {streamed}
--- segment 2
%8 f32[T, 32] = matmul(%6, %7)
output "y" = %8
output "z" = %5
)");
  EXPECT_EQ(to_text(graph(to_text(schedule->graph))), to_text(schedule->graph));
  // One more fits beside the buffer.
  const Result<WeightSchedule> more = schedule_weights(graph(kThree), equal, 0, 18432, 8192);
  ASSERT_FALSE(more.ok());
  const Result<WeightSchedule> one = schedule_weights(graph(kThree), equal, 0, 24000, 2048);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->resident_bytes, 0U);
  const Result<WeightSchedule> roomy = schedule_weights(graph(kThree), equal, 0, 24575, 256);
  ASSERT_TRUE(roomy.ok());
  EXPECT_EQ(roomy->buffer_bytes, 16384U);
  EXPECT_EQ(roomy->resident_bytes, 0U);
}

TEST(ScheduleWeights, SmallWeightsStay) {
  const auto equal = [](const Node& op, size_t input) -> uint64_t { return packed_bytes(op, input) == 0 ? 0 : 8192; };
  const Result<WeightSchedule> small = schedule_weights(graph(kThree), equal, 0, 20000, 8193 * 16);
  ASSERT_FALSE(small.ok());
  EXPECT_NE(small.status().message().find("at least 24576"), std::string::npos) << small.status().message();
}

}  // namespace
}  // namespace strata
