// Qwen2 and Qwen2.5 (https://arxiv.org/abs/2407.10671): Llama's block with biases on q, k and v alone, and maybe windows
// on the later layers.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::qwen2 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 32768});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const bool has_windows = b.flag_or({"use_sliding_window"}, false);
  const int64_t first = b.config().get_int("max_window_layers").value_or(28);
  const auto slides = [&](int64_t layer) { return has_windows && layer >= first; };
  const std::vector<int64_t> windows = b.windows(f.n_layers, slides);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, true};
  const Mlp mlp{f.feed_forward, f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden));
    x = ops::add(g, x, b.gated_mlp(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::qwen2
