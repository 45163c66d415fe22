// GPT-NeoX and Pythia (https://arxiv.org/abs/2204.06745): attention and feed-forward side by side, each behind its own
// layer norm, or one after the other; q, k and v of a head next to each other in one matrix; a part of each head
// rotated.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::gpt_neox {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  DecoderFields f = b.decoder_fields({.norm_eps = 1e-5, .activation = "gelu"});
  const bool bias = b.flag_or({"attention_bias"}, true);
  const std::string theta = b.config().has("rotary_emb_base") ? "rotary_emb_base" : "rope_theta";
  const ops::Rope rope = read_rope(b, read_rotary_dim(b, f.head_dim, 0.25), f.max_context, {.theta_key = theta});
  const bool parallel = b.flag_or({"use_parallel_residual"}, true);
  const QkvOrder order = b.flag_or({"qkv_by_group"}, true) ? QkvOrder::kGroups : QkvOrder::kBlocks;
  const Norm norm{.eps = f.norm_eps, .centered = true, .bias = true};
  const Heads heads{f.n_heads, f.n_heads, f.head_dim, bias};
  const Mlp mlp{f.feed_forward, f.activation, true};
  Head head;
  head.name = b.has("embed_out.weight") ? "embed_out" : "lm_head";
  head.embedding = "gpt_neox.embed_in";
  f.tied = b.flag_or({"tie_word_embeddings"}, false);
  if (!b.status().ok()) return b.status();

  Value x = b.embed("gpt_neox.embed_in", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "gpt_neox.layers." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "input_layernorm", norm);
    Qkv a = b.fused_qkv(h, p + "attention.query_key_value", heads, order);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.linear(b.attend(a, layer), p + "attention.dense", f.hidden, bias);
    const Value between = ops::add(g, x, attended);
    const Value m = b.norm(parallel ? x : between, p + "post_attention_layernorm", norm);
    x = ops::add(g, between, b.plain_mlp(m, p + "mlp.dense_h_to_4h", p + "mlp.dense_4h_to_h", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "gpt_neox.final_layer_norm", norm), f, head);
  return b.finish(f);
}

}  // namespace strata::gpt_neox
