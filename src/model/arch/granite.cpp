// Granite 3 (https://github.com/ibm-granite/granite-3.0-language-models): Llama's block with four multipliers: of the
// embeddings, the attention scores, every addition to the residual stream and the logits.
#include "model/arch/granite.h"

#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::granite {

Multipliers read_multipliers(ModelBuilder& b) {
  Multipliers m;
  m.embedding = b.number_or({"embedding_multiplier"}, 1);
  m.attention = b.number_or({"attention_multiplier"}, 1);
  m.residual = b.number_or({"residual_multiplier"}, 1);
  const double scaling = b.number_or({"logits_scaling"}, 1);
  if (scaling == 0 || m.attention == 0)
    b.fail(invalid_argument("config: logits_scaling and attention_multiplier must not be 0"));
  m.logits = 1 / scaling;
  return m;
}

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields();
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation, f.mlp_bias};
  const Multipliers multipliers = read_multipliers(b);
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  x = ops::scale(g, x, multipliers.embedding);
  const auto add = [&](Value y) { x = ops::add(g, x, ops::scale(g, y, multipliers.residual)); };
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.scale = multipliers.attention});
    add(b.linear(attended, p + "self_attn.o_proj", f.hidden, f.attention_bias));
    add(b.gated_mlp(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f, {.scale = multipliers.logits});
  return b.finish(f);
}

}  // namespace strata::granite
