// Qwen3 (https://arxiv.org/abs/2505.09388): Llama's block with norms on each head of q and k before the rotation, and
// maybe windows on the later layers.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::qwen3 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.head_dim = 128});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const bool has_windows = b.flag_or({"use_sliding_window"}, false);
  const int64_t first = b.config().get_int("max_window_layers").value_or(28);
  const auto slides = [&](int64_t layer) { return has_windows && layer >= first; };
  const std::vector<int64_t> windows = b.windows(f.n_layers, slides);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, b.norm(a.q, p + "self_attn.q_norm", norm), b.positions(), rope);
    a.k = ops::rope(g, b.norm(a.k, p + "self_attn.k_norm", norm), b.positions(), rope);
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden, f.attention_bias));
    x = ops::add(g, x, b.gated_mlp(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::qwen3
