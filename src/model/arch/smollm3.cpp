// SmolLM 3 (https://huggingface.co/blog/smollm3): Llama's block, every fourth layer without rotary positions.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::smollm3 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.n_kv_heads = 4, .max_context = 32768});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context, {.theta = 2e6});
  std::vector<int64_t> rotates = b.config().get_ints("no_rope_layers").value_or(std::vector<int64_t>{});
  if (rotates.empty()) {
    const int64_t interval = b.int_or({"no_rope_layer_interval"}, 4);
    for (int64_t layer = 0; layer < f.n_layers; ++layer) rotates.push_back((layer + 1) % interval != 0 ? 1 : 0);
  }
  if (static_cast<int64_t>(rotates.size()) != f.n_layers) {
    b.fail(invalid_argument("config: no_rope_layers has " + std::to_string(rotates.size()) + " entries for " +
                            std::to_string(f.n_layers) + " layers"));
  }
  if (!b.status().ok()) return b.status();
  const bool slides = b.flag_or({"use_sliding_window"}, false);
  const std::vector<int64_t> windows =
      b.windows(f.n_layers, [&](int64_t layer) { return slides && rotates[static_cast<size_t>(layer)] == 0; });
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const Mlp mlp{f.feed_forward, f.activation, f.mlp_bias};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    if (rotates[static_cast<size_t>(layer)] != 0) {
      a.q = ops::rope(g, a.q, b.positions(), rope);
      a.k = ops::rope(g, a.k, b.positions(), rope);
    }
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden, f.attention_bias));
    x = ops::add(g, x, b.gated_mlp(b.norm(x, p + "post_attention_layernorm", norm), p + "mlp", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f);
}

}  // namespace strata::smollm3
