// Command-R (Cohere, https://huggingface.co/CohereForAI/c4ai-command-r-v01): attention and feed-forward side by side
// behind one layer norm without bias, interleaved rotary positions, scaled logits; in Plus norms of their own for every
// head of q and k.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::cohere {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 8192, .norm_eps = 1e-5});
  ops::Rope rope = read_rope(b, f.head_dim, f.max_context, {.theta = 500000});
  rope.interleaved = true;
  const Norm norm{.eps = f.norm_eps, .centered = true};
  const Norm head_norm{.eps = f.norm_eps, .centered = true, .per_head = true};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const bool normed = b.flag_or({"use_qk_norm"}, false);
  const Mlp mlp{f.feed_forward, f.activation};
  Head head;
  head.scale = b.number_or({"logit_scale"}, 0.0625);
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "input_layernorm", norm);
    Qkv a = b.qkv(h, p + "self_attn", heads);
    if (normed) {
      a.q = b.norm(a.q, p + "self_attn.q_norm", head_norm);
      a.k = b.norm(a.k, p + "self_attn.k_norm", head_norm);
    }
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden, f.attention_bias));
    x = ops::add(g, x, b.gated_mlp(h, p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f, head);
  return b.finish(f);
}

}  // namespace strata::cohere
