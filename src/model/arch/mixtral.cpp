// Mixtral (https://arxiv.org/abs/2401.04088): Mistral's block with routed experts in the place of the feed-forward. The
// softmax of the best experts' logits weighs them.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::mixtral {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.n_kv_heads = 8, .max_context = 131072, .norm_eps = 1e-5});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context, {.theta = 1e6});
  const std::vector<int64_t> windows = b.windows(f.n_layers, [](int64_t) { return true; });
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim};
  Experts experts = b.read_experts({"intermediate_size"});
  experts.route.score = "softmax_of_chosen";
  experts.activation = f.activation;
  std::string moe = "mlp";
  if (b.has("model.layers.0.block_sparse_moe.gate.weight")) {  // as published
    moe = "block_sparse_moe";
    experts.gate = "w1";
    experts.up = "w3";
    experts.down = "w2";
  }
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden));
    x = ops::add(g, x, b.mixture(b.norm(x, p + "post_attention_layernorm", norm), p + moe, experts));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f, experts);
}

}  // namespace strata::mixtral
