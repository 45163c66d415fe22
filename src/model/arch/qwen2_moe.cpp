// Qwen2 mixture of experts (https://arxiv.org/abs/2407.10671): Qwen2's block with routed experts beside a shared one,
// which a gate of its own weighs.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::qwen2_moe {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields();
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const bool slides = b.flag_or({"use_sliding_window"}, false);
  const int64_t max_window_layers = b.count_or({"max_window_layers"}, 28);
  const std::vector<int64_t> windows =
      b.windows(f.n_layers, [&](int64_t layer) { return slides && layer % 2 == 0 && layer < max_window_layers; });
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, b.flag_or({"qkv_bias"}, true)};
  const Mlp mlp{f.feed_forward, f.activation};
  const Mlp shared{b.require_int("shared_expert_intermediate_size"), f.activation};
  Experts experts = b.read_experts({"moe_intermediate_size"});
  experts.route.normalize = b.flag_or({"norm_topk_prob"}, false);
  experts.activation = f.activation;
  const std::vector<bool> sparse = b.sparse_layers(f.n_layers);
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.window = windows[static_cast<size_t>(layer)]});
    x = ops::add(g, x, b.linear(attended, p + "self_attn.o_proj", f.hidden));

    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    if (sparse[static_cast<size_t>(layer)]) {
      const Value gate = ops::activate(g, b.linear(m, p + "mlp.shared_expert_gate", 1), "sigmoid");
      const Value weighed = ops::combine(g, b.gated_mlp(m, p + "mlp.shared_expert", shared), gate);
      x = ops::add(g, x, ops::add(g, b.mixture(m, p + "mlp", experts), weighed));
    } else {
      x = ops::add(g, x, b.gated_mlp(m, p + "mlp", mlp));
    }
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f, experts);
}

}  // namespace strata::qwen2_moe
