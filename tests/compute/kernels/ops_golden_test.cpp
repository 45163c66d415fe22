// Numbers that vLLM computed with PyTorch (../shared/data/golden-vllmcpp-kernels).
#include <filesystem>

#include "kernel_test.h"
#include "npy.h"

namespace strata {
namespace {

using namespace test;

constexpr const char* kGoldens = "golden-vllmcpp-kernels/parity/goldens";

class OpsGoldenTest : public KernelTest {
 protected:
  std::filesystem::path at(const char* name) const { return shared_data() / kGoldens / name; }
};

std::vector<const CpuKernels*> all_tables() {
  std::vector<const CpuKernels*> tables = fast_tables();
  tables.push_back(&kReferenceKernels);
  return tables;
}
INSTANTIATE_TEST_SUITE_P(Isa, OpsGoldenTest, ::testing::ValuesIn(all_tables()),
                         [](const auto& table) { return std::string(table.param->name); });

// |actual - expected| <= tolerance * (1 + |expected|), as the goldens' manifests ask.
void expect_within(const std::vector<float>& actual, const std::vector<float>& expected, float tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance * (1 + std::fabs(expected[i]))) << "at " << i;
  }
}

TEST_P(OpsGoldenTest, RmsNorm) {
  STRATA_REQUIRE_DATA(kGoldens);
  const auto folder = at("rmsnorm_f32_8x128");
  const auto x = read_npy<float>(folder / "x.npy"), w = read_npy<float>(folder / "weight.npy");
  std::vector<float> y(x.size());
  kernels().rms_norm(y.data(), x.data(), w.data(), 8, 128, 1e-6f, 0.0f);
  expect_within(y, read_npy<float>(folder / "out.npy"), 1e-6f);
}

TEST_P(OpsGoldenTest, ResidualThenRmsNorm) {
  STRATA_REQUIRE_DATA(kGoldens);
  const auto folder = at("rmsnorm_fused_residual_f32_8x128");
  const auto x = read_npy<float>(folder / "x.npy"), w = read_npy<float>(folder / "weight.npy");
  const auto residual = read_npy<float>(folder / "residual_in.npy");
  std::vector<float> sum(x.size()), y(x.size());
  kernels().add(sum.data(), x.data(), residual.data(), x.size());
  expect_same_bits(sum, read_npy<float>(folder / "residual_out.npy"));
  kernels().rms_norm(y.data(), sum.data(), w.data(), 8, 128, 1e-6f, 0.0f);
  expect_within(y, read_npy<float>(folder / "out.npy"), 1e-6f);
}

// Cosines and sines of position 1 tell every scaling's frequencies and magnitude.
TEST_P(OpsGoldenTest, EveryRopeScaling) {
  STRATA_REQUIRE_DATA(kGoldens);
  struct Case {
    const char* name;
    int head_dim, rotary_dim;
    bool interleaved;
  };
  const Case cases[] = {
      {"long_rope_llama3_neox_f32_bands", 24, 16, false},
      {"long_rope_llama3_neox_f32_equal_factors", 24, 16, false},
      {"long_rope_yarn_neox_f32_truncate", 16, 8, false},
      {"long_rope_yarn_gptj_f32_untruncated_no_mscale", 16, 8, true},
      {"long_rope_phi3_neox_f32_short", 16, 8, false},
      {"long_rope_yarn_mrope_f32_text_1d", 16, 8, false},
      {"long_rope_dynamic_alpha_neox_f32", 16, 8, false},
      {"long_rope_dynamic_factor1_neox_f32", 16, 8, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto folder = at(c.name);
    const auto positions = read_npy<int32_t>(folder / "positions.npy");
    const auto table = read_npy<float>(folder / "cos_sin_cache.npy");
    for (const char* which : {"q", "k"}) {
      auto x = read_npy<float>(folder / (std::string(which) + "_in.npy"));
      const int heads = which[0] == 'q' ? 2 : 1;
      const int64_t rows = positions.size();
      const int head_dim = static_cast<int>(x.size() / rows / heads), rotary_dim = c.rotary_dim;
      ASSERT_EQ(head_dim, c.head_dim);
      std::vector<float> inv_freq(rotary_dim / 2);
      double magnitude = 0;
      for (int i = 0; i < rotary_dim / 2; ++i) {
        const double cosine = table[rotary_dim + i], sine = table[rotary_dim + rotary_dim / 2 + i];
        inv_freq[i] = static_cast<float>(std::atan2(sine, cosine));
        magnitude = std::hypot(cosine, sine);
      }
      RopeArgs args;
      args.x = x.data();
      args.row_stride = heads * head_dim;
      args.positions = positions.data();
      args.n_heads = heads;
      args.head_dim = head_dim;
      args.rotary_dim = rotary_dim;
      args.interleaved = c.interleaved;
      args.inv_freq = inv_freq.data();
      args.magnitude = static_cast<float>(magnitude);
      kernels().rope(args, 0, rows);
      expect_within(x, read_npy<float>(folder / (std::string(which) + "_out.npy")), 2e-5f);
    }
  }
}

TEST_P(OpsGoldenTest, RopeAtShortAndAtVeryLongPositions) {
  STRATA_REQUIRE_DATA(kGoldens);
  // PyTorch multiplies position and frequency in fp32; at 131,000 that is an angle off by up to 0.008.
  const std::pair<const char*, float> cases[] = {{"rope_f32_pos_short", 2e-5f}, {"rope_f32_pos_131k", 2e-2f}};
  for (auto [name, tolerance] : cases) {
    SCOPED_TRACE(name);
    const auto folder = at(name);
    const auto positions = read_npy<int32_t>(folder / "positions.npy");
    std::vector<float> inv_freq(16);
    for (int i = 0; i < 16; ++i) inv_freq[i] = static_cast<float>(std::pow(10000.0, -2.0 * i / 32));
    auto x = read_npy<float>(folder / "q_in.npy");
    RopeArgs args;
    args.x = x.data();
    args.row_stride = 256;
    args.positions = positions.data();
    args.n_heads = 4;
    args.head_dim = 64;
    args.rotary_dim = 32;
    args.inv_freq = inv_freq.data();
    kernels().rope(args, 0, positions.size());
    expect_within(x, read_npy<float>(folder / "q_out.npy"), tolerance);
  }
}

TEST_P(OpsGoldenTest, Routing) {
  STRATA_REQUIRE_DATA(kGoldens);
  for (bool normalize : {true, false}) {
    const auto folder = at(normalize ? "moe_router_topk_f32_small" : "moe_router_topk_f32_small_norenorm");
    const auto logits = read_npy<float>(folder / "logits.npy");
    std::vector<int32_t> ids(6 * 2);
    std::vector<float> weights(6 * 2);
    const RouteArgs args{.logits = logits.data(), .ids = ids.data(), .weights = weights.data(), .n_experts = 8,
                         .n_used = 2, .normalize = normalize};
    kernels().route(args, 0, 6);
    EXPECT_EQ(ids, read_npy<int32_t>(folder / "topk_ids.npy"));
    expect_within(weights, read_npy<float>(folder / "topk_weights.npy"), 1e-6f);
  }
}

// q and k are normalized per head and rotated, then attend causally; `attn` is the result before the output gate.
TEST_P(OpsGoldenTest, GroupedAttention) {
  STRATA_REQUIRE_DATA(kGoldens);
  struct Case {
    const char* name;
    int tokens, n_heads, n_kv_heads, dim, rotary_dim;
    double base;
    float scale;
  };
  const Case cases[] = {{"dense_attention_f32_realdims", 9, 4, 2, 256, 64, 1e7, 0.0625f},
                        {"dense_attention_f32_small", 6, 4, 2, 8, 4, 1e4, 0.353553391f}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto folder = at(c.name);
    auto q = read_npy<float>(folder / "q.npy"), k = read_npy<float>(folder / "k.npy");
    const auto v = read_npy<float>(folder / "v.npy");
    const auto q_weight = read_npy<float>(folder / "q_norm_weight.npy");
    const auto k_weight = read_npy<float>(folder / "k_norm_weight.npy");
    const auto positions = read_npy<int32_t>(folder / "positions.npy");
    kernels().rms_norm(q.data(), q.data(), q_weight.data(), c.tokens * c.n_heads, c.dim, 1e-6f, 1.0f);
    kernels().rms_norm(k.data(), k.data(), k_weight.data(), c.tokens * c.n_kv_heads, c.dim, 1e-6f, 1.0f);
    std::vector<float> inv_freq(c.rotary_dim / 2);
    for (int i = 0; i < c.rotary_dim / 2; ++i) {
      inv_freq[i] = static_cast<float>(std::pow(c.base, -2.0 * i / c.rotary_dim));
    }
    for (auto [x, heads] : {std::pair{q.data(), c.n_heads}, {k.data(), c.n_kv_heads}}) {
      RopeArgs rope;
      rope.x = x;
      rope.row_stride = heads * c.dim;
      rope.positions = positions.data();
      rope.n_heads = heads;
      rope.head_dim = c.dim;
      rope.rotary_dim = c.rotary_dim;
      rope.inv_freq = inv_freq.data();
      kernels().rope(rope, 0, c.tokens);
    }
    const CacheShape shape{DType::kF32, c.n_kv_heads, c.dim, c.dim, false};
    std::vector<char> cache(shape.block_bytes());
    std::vector<int64_t> slots(c.tokens);
    for (int t = 0; t < c.tokens; ++t) slots[t] = t;
    kernels().cache_write({shape, cache.data(), k.data(), v.data(), slots.data()}, 0, c.tokens);
    const int32_t query_begin[] = {0, c.tokens}, context_len[] = {c.tokens}, block_table[] = {0};
    std::vector<float> out(q.size());
    const AttentionArgs args{.shape = shape, .cache = cache.data(), .q = q.data(), .out = out.data(),
                             .n_heads = c.n_heads, .scale = c.scale, .n_sequences = 1, .query_begin = query_begin,
                             .context_len = context_len, .block_table = block_table, .block_table_stride = 1};
    std::vector<float> workspace(kernels().attention_workspace(args) / sizeof(float));
    kernels().attention(args, 0, kernels().attention_items(args), workspace.data());
    expect_within(out, read_npy<float>(folder / "attn.npy"), 1e-5f);
  }
}

}  // namespace
}  // namespace strata
