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
  EXPECT_NE(status.message().find("known: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q3_K"), std::string::npos);
}

TEST(QuantizationMix, VectorsAndRoutersStayFloat) {
  for (const char* name : {"F16", "BF16", "Q8_0", "Q4_K", "Q4_K_M", "Q2_K", "MXFP4_MOE"}) {
    EXPECT_EQ(type_of(name, "blk.0.attn_norm.weight", {256}), DType::kF32);
    EXPECT_EQ(type_of(name, "blk.0.attn_q.bias", {256}), DType::kF32);
    EXPECT_EQ(type_of(name, "blk.0.ffn_gate_inp.weight", {8, 256}), DType::kF32);
    EXPECT_EQ(type_of(name, "blk.0.exp_probs_b.bias", {256}), DType::kF32);
    EXPECT_EQ(type_of(name, "rope_freqs.weight", {32}), DType::kF32);
    EXPECT_EQ(type_of(name, "position_embd.weight", {512, 256}), DType::kF32);
    EXPECT_EQ(type_of(name, "token_types.weight", {2, 256}), DType::kF32);
  }
}

TEST(QuantizationMix, PlainTypes) {
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q6_K"}) {
    EXPECT_EQ(type_of(name, "blk.0.attn_q.weight"), dtype_from_name(name));
    EXPECT_EQ(type_of(name, "output.weight"), dtype_from_name(name));
  }
  for (const char* name : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q3_K", "Q4_K", "Q5_K", "IQ4_NL", "IQ4_XS", "MXFP4"}) {
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
  for (const char* name : {"Q4_0", "Q4_K", "Q6_K", "Q4_K_M", "Q2_K", "IQ4_XS"}) {
    EXPECT_EQ(type_of(name, "blk.5.attn_k.weight", {512, 256}, {16, 8, false}), DType::kQ8_0);
    EXPECT_EQ(type_of(name, "blk.5.attn_v.weight", {512, 256}, {16, 8, false}), DType::kQ8_0);
  }
  for (const char* name : {"Q4_K_M", "Q4_K_S", "Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "IQ4_XS"})
    EXPECT_EQ(type_of(name, "blk.5.attn_output.weight", {512, 256}, {16, 8, false}), DType::kQ5_K);
  EXPECT_EQ(type_of("Q3_K_L", "blk.5.attn_output.weight", {512, 256}, {16, 8, false}), DType::kQ3_K);
  EXPECT_EQ(type_of("BF16", "blk.5.attn_k.weight", {512, 256}, {16, 8, false}), DType::kBF16);
}

// attn_v, ffn_down and attn_output of layers 0, 1, 2, 4 and 6 of 32, as llama-quantize prints them.
struct MixCase {
  const char* mix;
  DType value[5], down[5], output;
};
TEST(QuantizationMix, EveryMixIsLlamaCpps) {
  using enum DType;
  const MixCase cases[] = {
      {"Q2_K", {kQ3_K, kQ3_K, kQ3_K, kQ3_K, kQ3_K}, {kQ3_K, kQ3_K, kQ3_K, kQ3_K, kQ3_K}, kQ3_K},
      {"Q2_K_S", {kQ2_K, kQ2_K, kQ2_K, kQ2_K, kQ2_K}, {kQ4_K, kQ4_K, kQ4_K, kQ2_K, kQ2_K}, kQ2_K},
      {"Q3_K_S", {kQ3_K, kQ3_K, kQ3_K, kQ3_K, kQ3_K}, {kQ3_K, kQ3_K, kQ3_K, kQ3_K, kQ3_K}, kQ3_K},
      {"Q3_K_M", {kQ5_K, kQ5_K, kQ4_K, kQ4_K, kQ4_K}, {kQ5_K, kQ5_K, kQ4_K, kQ4_K, kQ4_K}, kQ4_K},
      {"Q3_K_L", {kQ5_K, kQ5_K, kQ5_K, kQ5_K, kQ5_K}, {kQ5_K, kQ5_K, kQ5_K, kQ5_K, kQ5_K}, kQ5_K},
      {"Q4_K_S", {kQ5_K, kQ5_K, kQ5_K, kQ4_K, kQ4_K}, {kQ5_K, kQ5_K, kQ5_K, kQ4_K, kQ4_K}, kQ4_K},
      {"Q4_K_M", {kQ6_K, kQ6_K, kQ6_K, kQ4_K, kQ6_K}, {kQ6_K, kQ6_K, kQ6_K, kQ4_K, kQ6_K}, kQ4_K},
      {"Q5_K_S", {kQ5_K, kQ5_K, kQ5_K, kQ5_K, kQ5_K}, {kQ5_K, kQ5_K, kQ5_K, kQ5_K, kQ5_K}, kQ5_K},
      {"Q5_K_M", {kQ6_K, kQ6_K, kQ6_K, kQ5_K, kQ6_K}, {kQ6_K, kQ6_K, kQ6_K, kQ5_K, kQ6_K}, kQ5_K},
      {"IQ4_XS", {kIQ4_XS, kIQ4_XS, kIQ4_XS, kIQ4_XS, kIQ4_XS}, {kQ5_K, kQ5_K, kQ5_K, kIQ4_XS, kIQ4_XS}, kIQ4_XS},
      {"IQ4_NL", {kIQ4_NL, kIQ4_NL, kIQ4_NL, kIQ4_NL, kIQ4_NL}, {kQ5_K, kQ5_K, kQ5_K, kIQ4_NL, kIQ4_NL}, kIQ4_NL},
  };
  const int layers[] = {0, 1, 2, 4, 6};
  const QuantizationContext context = {.n_layers = 32};
  for (const MixCase& c : cases) {
    for (int i = 0; i < 5; ++i) {
      SCOPED_TRACE(std::string(c.mix) + " layer " + std::to_string(layers[i]));
      const std::string prefix = "blk." + std::to_string(layers[i]) + ".";
      EXPECT_EQ(type_of(c.mix, prefix + "attn_v.weight", {512, 256}, context), c.value[i]);
      EXPECT_EQ(type_of(c.mix, prefix + "attn_qkv.weight", {512, 256}, context), c.value[i]);
      EXPECT_EQ(type_of(c.mix, prefix + "ffn_down.weight", {512, 256}, context), c.down[i]);
      EXPECT_EQ(type_of(c.mix, prefix + "attn_output.weight", {512, 256}, context), c.output);
      EXPECT_EQ(type_of(c.mix, prefix + "ffn_up.weight", {512, 256}, context), mix(c.mix).type);
    }
    EXPECT_EQ(type_of(c.mix, "output.weight"), kQ6_K);
    EXPECT_EQ(type_of(c.mix, "token_embd.weight"), mix(c.mix).type);
  }
}

TEST(QuantizationMix, SharedKeysAndImportance) {
  using enum DType;
  const QuantizationContext shared = {.n_layers = 16, .heads_per_key = 4};
  const QuantizationContext known = {.n_layers = 16, .has_importance = true};
  const std::vector<int64_t> shape = {512, 256};
  for (const char* name : {"Q2_K", "Q2_K_S"}) EXPECT_EQ(type_of(name, "blk.9.attn_v.weight", shape, shared), kQ4_K);
  for (const char* name : {"IQ4_NL", "IQ4_XS"}) {
    EXPECT_EQ(type_of(name, "blk.9.attn_v.weight", shape, shared), kQ5_K);
    EXPECT_EQ(type_of(name, "blk.0.ffn_down.weight", shape, known), dtype_from_name(name));
  }
  EXPECT_EQ(type_of("Q4_0", "blk.1.ffn_down.weight", shape, known), kQ4_1);
  EXPECT_EQ(type_of("Q4_0", "blk.2.ffn_down.weight", shape, known), kQ4_0);
  EXPECT_EQ(type_of("Q5_0", "blk.1.ffn_down.weight", shape, known), kQ5_1);
  EXPECT_EQ(type_of("Q4_0", "blk.1.ffn_down.weight", shape), kQ4_0);
  const QuantizationContext deep = {.n_layers = 80, .heads_per_key = 8};
  EXPECT_EQ(type_of("Q3_K_S", "blk.9.attn_v.weight", shape, deep), kQ5_K);
  EXPECT_EQ(type_of("Q4_K_M", "blk.20.attn_v.weight", shape, deep), kQ5_K);
}

TEST(QuantizationMix, ExpertsAlone) {
  const std::vector<int64_t> experts = {4, 64, 256};
  EXPECT_EQ(type_of("MXFP4_MOE", "blk.3.ffn_up_exps.weight", experts), DType::kMXFP4);
  for (const char* name : {"blk.3.attn_q.weight", "blk.3.ffn_up_shexp.weight", "token_embd.weight", "output.weight"})
    EXPECT_EQ(type_of("MXFP4_MOE", name), DType::kQ8_0);
}

TEST(QuantizationMix, RowsThatDoNotFit) {
  EXPECT_EQ(type_of("Q3_K", "blk.0.attn_q.weight", {4, 320}), DType::kQ4_0);
  EXPECT_EQ(type_of("Q4_K", "blk.0.attn_q.weight", {4, 320}), DType::kQ5_0);
  EXPECT_EQ(type_of("Q5_K", "blk.0.attn_q.weight", {4, 320}), DType::kQ5_1);
  EXPECT_EQ(type_of("IQ4_XS", "blk.0.attn_q.weight", {4, 320}), DType::kIQ4_NL);
  EXPECT_EQ(type_of("Q4_K", "blk.0.attn_q.weight", {4, 172}), DType::kF16);
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
