// Llama 1-3 and what shares its form (https://arxiv.org/abs/2302.13971): pre-norm decoder, rotary positions, grouped
// query heads, gated feed-forward.
#include <cmath>

#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_scaling.h"

namespace strata::llama {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields();
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  if (!b.status().ok()) return b.status();

  Value x = ops::embed(g, b.weight("model.embed_tokens.weight", {f.vocab, f.hidden}), b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    const Value h = ops::rms_norm(g, x, b.vector(p + "input_layernorm.weight", f.hidden), f.norm_eps);
    const auto heads = [&](const char* name, int64_t n) {
      return b.split_heads(b.linear(h, p + "self_attn." + name, n * f.head_dim, f.attention_bias), n);
    };
    const Value q = ops::rope(g, heads("q_proj", f.n_heads), b.positions(), rope);
    const Value k = ops::rope(g, heads("k_proj", f.n_kv_heads), b.positions(), rope);
    const Value v = heads("v_proj", f.n_kv_heads);
    const Value a =
        ops::attention(g, q, k, v, {"cache." + std::to_string(layer), 1 / std::sqrt(static_cast<double>(f.head_dim))});
    x = ops::add(g, x, b.linear(b.merge_heads(a), p + "self_attn.o_proj", f.hidden, f.attention_bias));

    const Value m = ops::rms_norm(g, x, b.vector(p + "post_attention_layernorm.weight", f.hidden), f.norm_eps);
    x = ops::add(g, x, b.gated_mlp(m, p + "mlp", f.feed_forward, f));
    g.add_tap("layer." + std::to_string(layer), x);
  }
  b.head(x, f);
  return b.finish(f);
}

}  // namespace strata::llama
