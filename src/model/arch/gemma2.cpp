// Gemma 2 (https://arxiv.org/abs/2408.00118): norms around each sublayer with weights counted from 1, scaled embeddings,
// soft caps on attention scores and logits, windows on every other layer.
#include <cmath>

#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::gemma2 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.head_dim = 256, .max_context = 8192, .activation = "gelu_tanh"});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const std::vector<int64_t> windows = b.windows(f.n_layers, [](int64_t layer) { return layer % 2 == 0; });
  const Norm norm{.eps = f.norm_eps, .offset = b.number_or({"norm_offset"}, 1)};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation};
  ops::Attention attention;
  attention.scale = 1 / std::sqrt(b.number_or({"query_pre_attn_scalar"}, static_cast<double>(f.head_dim)));
  attention.softcap = b.number_or({"attn_logit_softcapping"}, 0);
  Head head;
  head.softcap = b.number_or({"final_logit_softcapping"}, 0);
  if (b.flag_or({"use_bidirectional_attention"}, false))
    b.fail(invalid_argument("config: use_bidirectional_attention: a generating model looks back only"));
  if (!(attention.scale > 0 && std::isfinite(attention.scale)))
    b.fail(invalid_argument("config: query_pre_attn_scalar must be positive"));
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  x = ops::scale(g, x, std::sqrt(static_cast<double>(f.hidden)));
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    attention.window = windows[static_cast<size_t>(layer)];
    Value y = b.linear(b.attend(a, layer, attention), p + "self_attn.o_proj", f.hidden, f.attention_bias);
    x = ops::add(g, x, b.norm(y, p + "post_attention_layernorm", norm));
    y = b.gated_mlp(b.norm(x, p + "pre_feedforward_layernorm", norm), p + "mlp", mlp);
    x = ops::add(g, x, b.norm(y, p + "post_feedforward_layernorm", norm));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f, head);
  return b.finish(f);
}

}  // namespace strata::gemma2
