// Granite 3 mixture of experts (https://github.com/ibm-granite/granite-3.0-language-models): Granite's block with
// routed experts, gate and up in one tensor, and maybe a shared expert beside them.
#include "model/arch/granite.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::granite_moe {
namespace {

// The published names; other files have those of everybody's mixtures.
bool is_published(const ModelBuilder& b, const std::string& p) {
  return b.has(p + "block_sparse_moe.input_linear.weight") || b.has(p + "block_sparse_moe.experts.gate_up_proj");
}

Value mixture(ModelBuilder& b, Value x, const std::string& p, int64_t hidden, const Experts& e) {
  if (!is_published(b, p)) return b.mixture(x, p + "mlp", e);
  Graph& g = b.graph();
  const std::string moe = p + "block_sparse_moe.";
  const bool old = b.has(moe + "input_linear.weight");  // what transformers 5 has in memory is named otherwise
  const Value scores = b.linear(x, moe + (old ? "router.layer" : "router"), e.n_experts);
  const ops::Routed routed = ops::route(g, scores, {}, e.route);
  const ops::ExpertGroups groups = ops::expert_groups(g, routed.ids, e.n_experts);
  const auto half = [&](int64_t first) {
    const Rows rows{.of = 2 * e.feed_forward, .first = first};
    const std::string name = moe + (old ? "input_linear.weight" : "experts.gate_up_proj");
    return ops::expert_matmul(g, x, b.stacked(name, e.n_experts, e.feed_forward, hidden, rows), groups, e.route.n_used);
  };
  const Value inner = ops::gated(g, half(0), half(e.feed_forward), e.activation);
  const std::string down = moe + (old ? "output_linear.weight" : "experts.down_proj");
  const Value y =
      ops::expert_matmul(g, inner, b.weight(down, {e.n_experts, hidden, e.feed_forward}), groups, e.route.n_used);
  return ops::combine(g, y, routed.weights);
}

Value shared_expert(ModelBuilder& b, Value x, const std::string& p, int64_t hidden, const Mlp& mlp) {
  if (!is_published(b, p)) return b.gated_mlp(x, p + "mlp.shared_experts", mlp);
  const int64_t n = mlp.feed_forward;
  const Value gate = b.linear(x, p + "shared_mlp.input_linear", n, false, {.of = 2 * n});
  const Value up = b.linear(x, p + "shared_mlp.input_linear", n, false, {.of = 2 * n, .first = n});
  return b.linear(ops::gated(b.graph(), gate, up, mlp.activation), p + "shared_mlp.output_linear", hidden);
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields();
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context);
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  const granite::Multipliers multipliers = granite::read_multipliers(b);
  Experts experts = b.read_experts({"intermediate_size"});
  experts.route.score = "softmax_of_chosen";
  experts.activation = f.activation;
  const Mlp shared{b.count_or({"shared_intermediate_size"}, 0), f.activation};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  x = ops::scale(g, x, multipliers.embedding);
  const auto add = [&](Value y) { x = ops::add(g, x, ops::scale(g, y, multipliers.residual)); };
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    const Value attended = b.attend(a, layer, {.scale = multipliers.attention});
    add(b.linear(attended, p + "self_attn.o_proj", f.hidden, f.attention_bias));
    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    Value y = mixture(b, m, p, f.hidden, experts);
    if (shared.feed_forward > 0) y = ops::add(g, y, shared_expert(b, m, p, f.hidden, shared));
    add(y);
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f, {.scale = multipliers.logits});
  return b.finish(f, experts);
}

}  // namespace strata::granite_moe
