// Phi-3 and Phi-4 (https://arxiv.org/abs/2404.14219): Llama's block with q, k and v in one matrix, gate and up in
// another, maybe a part of each head rotated, longrope beyond the original context.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::phi3 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 4096, .norm_eps = 1e-5});
  const ops::Rope rope = read_rope(b, read_rotary_dim(b, f.head_dim), f.max_context);
  const std::vector<int64_t> windows = b.windows(f.n_layers, [](int64_t) { return true; });
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim};
  const Mlp mlp{f.feed_forward, f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "input_layernorm", norm);
    Qkv a = b.fused_qkv(h, p + "self_attn.qkv_proj", heads, QkvOrder::kBlocks);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden));
    x = ops::add(g, x, b.fused_gated_mlp(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::phi3
