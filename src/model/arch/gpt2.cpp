// GPT-2 (https://openai.com/research/better-language-models): learned positions, layer norms with biases, plain
// feed-forward. Published files store its matrices transposed.
#include <cmath>

#include "model/arch/model_builder.h"
#include "model/arch/models.h"

namespace strata::gpt2 {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const std::string root = b.prefix_of({"transformer.", ""}, "wte.weight");
  const DecoderFields f = b.decoder_fields({.max_context = 1024, .norm_eps = 1e-5, .activation = "gelu_tanh"});
  const Norm norm{.eps = f.norm_eps, .centered = true, .bias = true};
  const Heads heads{f.n_heads, f.n_heads, f.head_dim, true};
  const Mlp mlp{f.feed_forward, f.activation, true};
  const bool transposed = b.flag_or({"linear_transposed"}, true);
  const bool scale_scores = b.flag_or({"scale_attn_weights"}, true);
  const bool scale_by_layer = b.flag_or({"scale_attn_by_inverse_layer_idx"}, false);
  if (f.head_dim * f.n_heads != f.hidden) b.fail(invalid_argument("config: n_embd is no multiple of n_head"));
  if (!b.status().ok()) return b.status();

  Value x = b.embed(root + "wte", f.vocab, f.hidden, b.ids());
  x = ops::add(g, x, b.embed(root + "wpe", f.max_context, f.hidden, b.positions()));
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = root + "h." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + "ln_1", norm);
    const Qkv a = b.fused_qkv(h, p + "attn.c_attn", heads, QkvOrder::kBlocks, transposed);
    double scale = scale_scores ? 1 / std::sqrt(static_cast<double>(f.head_dim)) : 1;
    if (scale_by_layer) scale /= static_cast<double>(layer + 1);
    const Value attended = b.attend(a, layer, {.scale = scale});
    x = ops::add(g, x, b.linear(attended, p + "attn.c_proj", f.hidden, true, {.transposed = transposed}));
    x = ops::add(g, x, b.plain_mlp(b.norm(x, p + "ln_2", norm), p + "mlp.c_fc", p + "mlp.c_proj", mlp, transposed));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), root + "ln_f", norm), f, {.embedding = root + "wte"});
  return b.finish(f);
}

}  // namespace strata::gpt2
