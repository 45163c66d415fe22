// OLMo 2 (https://arxiv.org/abs/2501.00656): no norms before the sublayers but after them, and norms over the whole
// projections of q and k.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::olmo2 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.norm_eps = 1e-5});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(x, p + "self_attn", heads);
    const auto normed = [&](Value v, const char* name, int64_t n_heads) {
      return ops::rope(g, b.split_heads(b.norm(b.merge_heads(v), p + name, norm), n_heads), b.positions(), rope);
    };
    a.q = normed(a.q, "self_attn.q_norm", f.n_heads);
    a.k = normed(a.k, "self_attn.k_norm", f.n_kv_heads);
    const Value y = b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden, f.attention_bias);
    x = ops::add(g, x, b.norm(y, p + "post_attention_layernorm", norm));
    x = ops::add(g, x, b.norm(b.gated_mlp(x, p + "mlp", mlp), p + "post_feedforward_layernorm", norm));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::olmo2
