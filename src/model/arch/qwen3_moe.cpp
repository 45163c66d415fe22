// Qwen3 mixture of experts (https://arxiv.org/abs/2505.09388): Llama's block with norms on each head of q and k, and
// routed experts in the place of the feed-forward.
#include <algorithm>
#include <cmath>

#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_scaling.h"

namespace strata::qwen3_moe {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const ConfigView& config = b.config();
  const DecoderFields f = b.decoder_fields();
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const int64_t n_experts =
      b.require_int(config.has("num_local_experts") ? "num_local_experts" : "num_experts");  // two spellings
  const int64_t expert_forward = b.require_int("moe_intermediate_size");
  ops::Route route;
  route.n_used = b.require_int("num_experts_per_tok");
  route.normalize = config.get_bool("norm_topk_prob").value_or(false);
  const int64_t sparse_step = std::max<int64_t>(1, config.get_int("decoder_sparse_step").value_or(1));
  const std::vector<int64_t> dense_layers = config.get_ints("mlp_only_layers").value_or(std::vector<int64_t>{});
  if (route.n_used > n_experts) b.fail(invalid_argument("config: num_experts_per_tok is larger than num_experts"));
  if (!b.status().ok()) return b.status();

  Value x = ops::embed(g, b.weight("model.embed_tokens.weight", {f.vocab, f.hidden}), b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = ops::rms_norm(g, x, b.vector(p + "input_layernorm.weight", f.hidden), f.norm_eps);
    const auto heads = [&](const char* name, int64_t n) {
      return b.split_heads(b.linear(h, p + "self_attn." + name, n * f.head_dim, f.attention_bias), n);
    };
    const auto normed = [&](Value value, const char* name) {
      return ops::rms_norm(g, value, b.vector(p + "self_attn." + name + ".weight", f.head_dim), f.norm_eps);
    };
    const Value q = ops::rope(g, normed(heads("q_proj", f.n_heads), "q_norm"), b.positions(), rope);
    const Value k = ops::rope(g, normed(heads("k_proj", f.n_kv_heads), "k_norm"), b.positions(), rope);
    const Value v = heads("v_proj", f.n_kv_heads);
    const Value a =
        ops::attention(g, q, k, v, {"cache." + std::to_string(layer), 1 / std::sqrt(static_cast<double>(f.head_dim))});
    x = ops::add(g, x, b.linear(b.merge_heads(a), p + "self_attn.o_proj", f.hidden, f.attention_bias));

    const Value m = ops::rms_norm(g, x, b.vector(p + "post_attention_layernorm.weight", f.hidden), f.norm_eps);
    const bool dense =
        std::count(dense_layers.begin(), dense_layers.end(), layer) > 0 || (layer + 1) % sparse_step != 0;
    const Value y = dense ? b.gated_mlp(m, p + "mlp", f.feed_forward, f)
                          : b.mixture(m, p + "mlp", route, n_experts, expert_forward, {}, f);
    x = ops::add(g, x, y);
    g.add_tap("layer." + std::to_string(layer), x);
  }
  b.head(x, f);
  return b.finish(f, n_experts, route.n_used);
}

}  // namespace strata::qwen3_moe
