// StableLM 2 and 3B (https://arxiv.org/abs/2402.17834): Llama's block with layer norms, a part of each head rotated
// and, in 12B, norms of their own for every head of q and k and a feed-forward beside the attention.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::stablelm {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 4096, .norm_eps = 1e-5});
  const ops::Rope rope = read_rope(b, read_rotary_dim(b, f.head_dim, 0.25), f.max_context);
  const Norm norm{.eps = f.norm_eps, .centered = true, .bias = true};
  const Norm head_norm{.eps = f.norm_eps, .centered = true, .per_head = true};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, b.flag_or({"use_qkv_bias"}, false)};
  const bool normed = b.flag_or({"qk_layernorm"}, false);
  const bool parallel = b.flag_or({"use_parallel_residual"}, false);
  const Mlp mlp{f.feed_forward, f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "input_layernorm", norm);
    Qkv a = b.qkv(h, p + "self_attn", heads);
    if (normed) {
      a.q = b.norm(a.q, p + "self_attn.q_layernorm", head_norm);
      a.k = b.norm(a.k, p + "self_attn.k_layernorm", head_norm);
    }
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    x = ops::add(g, x, b.linear(b.attend(a, layer), p + "self_attn.o_proj", f.hidden));
    const Value m = parallel ? h : b.norm(x, p + "post_attention_layernorm", norm);
    x = ops::add(g, x, b.gated_mlp(m, p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::stablelm
