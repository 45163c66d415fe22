// Nemotron-4 and Minitron (https://arxiv.org/abs/2402.16819): layer norms with weights counted from 1, half of each
// head rotated, a plain feed-forward with squared ReLU.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::nemotron {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 4096, .norm_eps = 1e-5, .activation = "relu2"});
  const ops::Rope rope = read_rope(b, read_rotary_dim(b, f.head_dim, 0.5), f.max_context);
  const double offset = b.number_or({"norm_offset"}, 1);
  const Norm norm{.eps = f.norm_eps, .offset = offset, .centered = true, .bias = true};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation, f.mlp_bias};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden, f.attention_bias));
    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    x = ops::add(g, x, b.plain_mlp(m, p + "mlp.up_proj", p + "mlp.down_proj", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::nemotron
