// Qwen3 mixture of experts (https://arxiv.org/abs/2505.09388): Llama's block with norms on each head of q and k, and
// routed experts in the place of the feed-forward.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::qwen3_moe {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields();
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  Experts experts = b.read_experts({"moe_intermediate_size"});
  experts.route.normalize = b.flag_or({"norm_topk_prob"}, false);
  experts.activation = f.activation;
  const std::vector<bool> sparse = b.sparse_layers(f.n_layers);
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, b.norm(a.q, p + "self_attn.q_norm", norm), b.positions(), rope);
    a.k = ops::rope(g, b.norm(a.k, p + "self_attn.k_norm", norm), b.positions(), rope);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden, f.attention_bias));

    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    const Mlp mlp{f.feed_forward, f.activation};
    const bool routed = sparse[static_cast<size_t>(layer)];
    x = ops::add(g, x, routed ? b.mixture(m, p + "mlp", experts) : b.gated_mlp(m, p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f, experts);
}

}  // namespace strata::qwen3_moe
