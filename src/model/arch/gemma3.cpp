// Gemma 3 (https://arxiv.org/abs/2503.19786), the text model alone or as a part of the one that sees: Gemma 2's block
// with norms on each head of q and k in the place of the soft caps, and rotary frequencies of their own for sliding
// layers.
#include <cmath>

#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::gemma3 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint, "text_config");
  Graph& g = b.graph();
  DecoderFields f = b.decoder_fields({.vocab = 262208,
                                      .hidden = 2304,
                                      .n_layers = 26,
                                      .n_heads = 8,
                                      .n_kv_heads = 4,
                                      .head_dim = 256,
                                      .feed_forward = 9216,
                                      .max_context = 131072,
                                      .activation = "gelu_tanh"});
  const ops::Rope full = read_rope(b, f.head_dim, f.max_context, {.theta = 1e6, .layer_type = "full_attention"});
  const ops::Rope sliding =
      read_rope(b, f.head_dim, f.max_context,
                {.layer_type = "sliding_attention", .theta_key = "rope_local_base_freq", .scaled = false});
  const int64_t pattern = b.int_or({"sliding_window_pattern"}, 6);
  const std::vector<int64_t> windows = b.windows(f.n_layers, [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  const Norm norm{.eps = f.norm_eps, .offset = b.number_or({"norm_offset"}, 1)};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  ops::Attention attention;
  attention.scale = 1 / std::sqrt(b.number_or({"query_pre_attn_scalar"}, 256));
  Head head;
  head.softcap = b.number_or({"final_logit_softcapping"}, 0);
  const std::string root =
      b.prefix_of({"model.language_model.", "language_model.model.", "model."}, "embed_tokens.weight");
  head.embedding = root + "embed_tokens";
  if (b.has("language_model.lm_head.weight")) head.name = "language_model.lm_head";
  f.tied = b.flag_or({"tie_word_embeddings"}, true) || !b.has(head.name + ".weight");
  if (!(attention.scale > 0 && std::isfinite(attention.scale)))
    b.fail(invalid_argument("config: query_pre_attn_scalar must be positive"));
  if (b.flag_or({"use_bidirectional_attention"}, false))
    b.fail(invalid_argument("config: use_bidirectional_attention is true: an encoder, which cannot generate"));
  if (!b.status().ok()) return b.status();

  Value x = b.embed(root + "embed_tokens", f.vocab, f.hidden, b.ids());
  x = ops::scale(g, x, std::sqrt(static_cast<double>(f.hidden)));
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = root + "layers." + std::to_string(layer) + ".";
    attention.window = windows[static_cast<size_t>(layer)];
    const ops::Rope& rope = attention.window > 0 ? sliding : full;
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, b.norm(a.q, p + "self_attn.q_norm", norm), b.positions(), rope);
    a.k = ops::rope(g, b.norm(a.k, p + "self_attn.k_norm", norm), b.positions(), rope);
    Value y = b.linear(b.attend(a, layer, attention), p + "self_attn.o_proj", f.hidden, f.attention_bias);
    x = ops::add(g, x, b.norm(y, p + "post_attention_layernorm", norm));
    y = b.gated_mlp(b.norm(x, p + "pre_feedforward_layernorm", norm), p + "mlp", {f.feed_forward, f.activation});
    x = ops::add(g, x, b.norm(y, p + "post_feedforward_layernorm", norm));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), root + "norm", norm), f, head);
  return b.finish(f);
}

}  // namespace strata::gemma3
