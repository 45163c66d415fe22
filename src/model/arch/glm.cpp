// GLM-4-9B (https://arxiv.org/abs/2406.12793): Llama's block with half of each head rotated in interleaved pairs,
// biases on q, k and v, and gate and up in one matrix.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::glm {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields(
      {.n_kv_heads = 2, .head_dim = 128, .max_context = 131072, .norm_eps = 1.5625e-07, .attention_bias = true});
  ops::Rope rope = read_rope(b, read_rotary_dim(b, f.head_dim, 0.5), f.max_context);
  rope.interleaved = true;
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden));
    x = ops::add(g, x, b.fused_gated_mlp(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::glm
