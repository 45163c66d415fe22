// Phi-1, 1.5 and 2 (https://arxiv.org/abs/2309.05463): attention and feed-forward side by side behind one layer norm, a
// part of each head rotated, biases everywhere, also on the logits.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::phi {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.norm_eps = 1e-5, .activation = "gelu_tanh"});
  const ops::Rope rope = read_rope(b, read_rotary_dim(b, f.head_dim, 0.5), f.max_context);
  const Norm norm{.eps = f.norm_eps, .centered = true, .bias = true};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, true};
  const bool normed = b.flag_or({"qk_layernorm"}, false);
  const Mlp mlp{f.feed_forward, f.activation, true};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "input_layernorm", norm);
    Qkv a = b.qkv(h, p + "self_attn", heads);
    if (normed) {
      a.q = b.norm(a.q, p + "self_attn.q_layernorm", norm);
      a.k = b.norm(a.k, p + "self_attn.k_layernorm", norm);
    }
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.dense", f.hidden, true));
    x = ops::add(g, x, b.plain_mlp(h, p + "mlp.fc1", p + "mlp.fc2", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.final_layernorm", norm), f, {.bias = true});
  return b.finish(f);
}

}  // namespace strata::phi
