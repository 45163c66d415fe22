// StarCoder 2 (https://arxiv.org/abs/2402.19173): pre-norm decoder with layer norms, biases everywhere, a plain
// feed-forward and, in most sizes, a window on every layer.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::starcoder2 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f =
      b.decoder_fields({.n_kv_heads = 2, .max_context = 4096, .norm_eps = 1e-5, .activation = "gelu_tanh"});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const std::vector<int64_t> windows = b.windows(f.n_layers, [](int64_t) { return true; });
  const bool bias = b.flag_or({"use_bias"}, true);
  const Norm norm{.eps = f.norm_eps, .centered = true, .bias = true};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, bias};
  const Mlp mlp{f.feed_forward, f.activation, bias};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden, bias));
    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    x = ops::add(g, x, b.plain_mlp(m, p + "mlp.c_fc", p + "mlp.c_proj", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::starcoder2
