// Command R7B and A (Cohere 2, https://arxiv.org/abs/2504.00698): Command-R's block, most layers with a window and
// rotary positions, the others with neither.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::cohere2 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.max_context = 8192, .norm_eps = 1e-5});
  ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  rope.interleaved = true;
  const int64_t pattern = b.int_or({"sliding_window_pattern", "layer_switch"}, 4);
  const std::vector<int64_t> windows = b.windows(f.n_layers, [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  const Norm norm{.eps = f.norm_eps, .centered = true};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation};
  Head head;
  head.scale = b.number_or({"logit_scale"}, 0.0625);
  if (b.flag_or({"use_qk_norm"}, false))
    b.fail(invalid_argument("config: use_qk_norm is true, which Cohere2ForCausalLM does not have"));
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "input_layernorm", norm);
    Qkv a = b.qkv(h, p + "self_attn", heads);
    const int64_t window = windows[static_cast<size_t>(layer)];
    if (window > 0) {
      a.q = ops::rope(g, a.q, b.positions(), rope);
      a.k = ops::rope(g, a.k, b.positions(), rope);
    }
    const Value attended = b.attend(a, layer, {.window = window});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden, f.attention_bias));
    x = ops::add(g, x, b.gated_mlp(h, p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f, head);
  return b.finish(f);
}

}  // namespace strata::cohere2
