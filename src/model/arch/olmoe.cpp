// OLMoE (https://arxiv.org/abs/2409.02060): Llama's block with norms over the whole projections of q and k, and routed
// experts in the place of the feed-forward.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::olmoe {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 4096, .norm_eps = 1e-5});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const double clip = b.number_or({"clip_qkv"}, 0);
  Experts experts = b.read_experts({"intermediate_size"});
  experts.route.normalize = b.flag_or({"norm_topk_prob"}, false);
  experts.activation = f.activation;
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    const auto clipped = [&](Value v) { return clip > 0 ? ops::clamp(g, v, clip) : v; };
    const auto normed = [&](Value v, const char* name, int64_t n_heads) {
      v = b.split_heads(clipped(b.norm(b.merge_heads(v), p + name, norm)), n_heads);
      return ops::rope(g, v, b.positions(), rope);
    };
    a.q = normed(a.q, "self_attn.q_norm", f.n_heads);
    a.k = normed(a.k, "self_attn.k_norm", f.n_kv_heads);
    a.v = clipped(a.v);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden, f.attention_bias));
    x = ops::add(g, x, b.mixture(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", experts));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f, experts);
}

}  // namespace strata::olmoe
