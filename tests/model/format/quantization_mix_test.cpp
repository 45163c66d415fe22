#include "model/format/quantization_mix.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

QuantizationMix mix(std::string_view name) {
  auto found = QuantizationMix::from_name(name);
  EXPECT_TRUE(found.ok()) << found.status().message();
  return *found;
}

DType type_of(std::string_view name, std::string_view tensor, std::vector<int64_t> shape = {512, 256},
              const QuantizationContext& context = {16, 0, false}) {
  return choose_type(mix(name), context, tensor, shape);
}

TEST(QuantizationMix, UnknownNamesListTheKnown) {
  const Status status = QuantizationMix::from_name("Q3_X").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("known: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, Q4_K_M"), std::string::npos);
}

TEST(QuantizationMix, VectorsAndRoutersStayFloat) {
  for (const char* name : {"F16", "BF16", "Q8_0", "Q4_K", "Q4_K_M"}) {
    EXPECT_EQ(type_of(name, "blk.0.attn_norm.weight", {256}), DType::kF32);
    EXPECT_EQ(type_of(name, "blk.0.attn_q.bias", {256}), DType::kF32);
    EXPECT_EQ(type_of(name, "blk.0.ffn_gate_inp.weight", {8, 256}), DType::kF32);
    EXPECT_EQ(type_of(name, "blk.0.exp_probs_b.bias", {256}), DType::kF32);
    EXPECT_EQ(type_of(name, "rope_freqs.weight", {32}), DType::kF32);
  }
}

TEST(QuantizationMix, PlainTypes) {
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q6_K"}) {
    EXPECT_EQ(type_of(name, "blk.0.attn_q.weight"), dtype_from_name(name));
    EXPECT_EQ(type_of(name, "output.weight"), dtype_from_name(name));
  }
  for (const char* name : {"Q4_0", "Q4_K"}) {
    EXPECT_EQ(type_of(name, "blk.15.ffn_down.weight"), dtype_from_name(name));
    EXPECT_EQ(type_of(name, "blk.15.ffn_down_exps.weight", {4, 64, 256}), dtype_from_name(name));
    EXPECT_EQ(type_of(name, "output.weight"), DType::kQ6_K);
    EXPECT_EQ(type_of(name, "token_embd.weight"), dtype_from_name(name));
    EXPECT_EQ(type_of(name, "token_embd.weight", {512, 256}, {16, 0, true}), DType::kQ6_K);
  }
}

TEST(QuantizationMix, MoreBitsForSomeLayers) {
  // 16 layers: the first 2, the last 2, and from layer 2 on every third: 4, 7, 10, 13.
  std::vector<int> with_more;
  for (int layer = 0; layer < 16; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const DType down = type_of("Q4_K_M", prefix + "ffn_down.weight");
    EXPECT_EQ(type_of("Q4_K_M", prefix + "attn_v.weight"), down);
    EXPECT_EQ(type_of("Q4_K_M", prefix + "ffn_down_exps.weight", {4, 512, 256}), down);
    EXPECT_EQ(type_of("Q4_K_M", prefix + "attn_q.weight"), DType::kQ4_K);
    EXPECT_EQ(type_of("Q4_K_M", prefix + "ffn_up.weight"), DType::kQ4_K);
    if (down == DType::kQ6_K) with_more.push_back(layer);
  }
  EXPECT_EQ(with_more, (std::vector<int>{0, 1, 4, 7, 10, 13, 14, 15}));
  EXPECT_EQ(type_of("Q4_K_M", "output.weight"), DType::kQ6_K);
  for (const char* name : {"Q4_0", "Q4_K", "Q6_K", "Q4_K_M"}) {
    EXPECT_EQ(type_of(name, "blk.5.attn_k.weight", {512, 256}, {16, 8, false}), DType::kQ8_0);
    EXPECT_EQ(type_of(name, "blk.5.attn_v.weight", {512, 256}, {16, 8, false}), DType::kQ8_0);
  }
  EXPECT_EQ(type_of("Q4_K_M", "blk.5.attn_output.weight", {512, 256}, {16, 8, false}), DType::kQ6_K);
  EXPECT_EQ(type_of("BF16", "blk.5.attn_k.weight", {512, 256}, {16, 8, false}), DType::kBF16);
}

TEST(QuantizationMix, RowsThatDoNotFit) {
  EXPECT_EQ(type_of("Q4_K", "blk.0.attn_q.weight", {4, 320}), DType::kQ8_0);
  EXPECT_EQ(type_of("Q6_K", "blk.0.attn_q.weight", {4, 320}), DType::kQ8_0);
  EXPECT_EQ(type_of("Q4_0", "blk.0.attn_q.weight", {4, 320}), DType::kQ4_0);
  EXPECT_EQ(type_of("Q8_0", "blk.0.attn_q.weight", {4, 172}), DType::kF16);
  EXPECT_EQ(type_of("F16", "blk.0.attn_q.weight", {4, 171}), DType::kF16);
  const std::vector<int64_t> odd = {4, 320};
  EXPECT_TRUE(is_fallback(mix("Q4_K"), {16, 0, false}, "blk.0.attn_q.weight", odd));
  EXPECT_FALSE(is_fallback(mix("Q4_0"), {16, 0, false}, "blk.0.attn_q.weight", odd));
  EXPECT_FALSE(is_fallback(mix("Q4_K"), {16, 0, false}, "blk.0.attn_norm.weight", odd));
}

}  // namespace
}  // namespace strata
