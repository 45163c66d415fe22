// gpt-oss (https://arxiv.org/abs/2508.10925): Mixtral's form with a sink in every head's softmax, windows on every other
// layer, biases everywhere, and experts whose gated activation is clamped.
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::gpt_oss {
namespace {

// All experts' [n_experts, n, k] matrices and [n_experts, n] biases.
struct ExpertWeights {
  Value gate, up, down, gate_bias, up_bias, down_bias;
};

// GGUF keeps gate and up apart. As published they alternate row by row; plain numbers lie transposed, MXFP4 does not.
ExpertWeights expert_weights(ModelBuilder& b, const std::string& p, const Experts& e, int64_t hidden) {
  const int64_t n = e.n_experts, inner = e.feed_forward;
  const std::string gate_up = p + ".gate_up_proj", down = p + ".down_proj";
  if (!b.has(gate_up)) {
    return {b.weight(p + ".gate_proj.weight", {n, inner, hidden}), b.weight(p + ".up_proj.weight", {n, inner, hidden}),
            b.weight(down + ".weight", {n, hidden, inner}),        b.weight(p + ".gate_proj.bias", {n, inner}),
            b.weight(p + ".up_proj.bias", {n, inner}),             b.weight(down + ".bias", {n, hidden})};
  }
  const bool transposed = !b.is_stored_in_blocks(gate_up);
  const Rows even{.of = 2 * inner, .step = 2, .transposed = transposed};
  const Rows odd{.of = 2 * inner, .first = 1, .step = 2, .transposed = transposed};
  return {b.stacked(gate_up, n, inner, hidden, even),
          b.stacked(gate_up, n, inner, hidden, odd),
          b.stacked(down, n, hidden, inner, {.transposed = transposed}),
          b.columns(gate_up + "_bias", n, inner, even),
          b.columns(gate_up + "_bias", n, inner, odd),
          b.weight(down + "_bias", {n, hidden})};
}

Value mixture(ModelBuilder& b, Value x, const std::string& p, const Experts& e, double alpha, double limit) {
  Graph& g = b.graph();
  const ops::Routed routed = ops::route(g, b.linear(x, p + e.router, e.n_experts, true), {}, e.route);
  const ops::ExpertGroups groups = ops::expert_groups(g, routed.ids, e.n_experts);
  const Value chosen = ops::reshape(g, routed.ids, {Dim(e.route.n_used, Symbol::kTokens)});  // the expert of each pair
  const ExpertWeights w = expert_weights(b, p + "experts", e, g.type(x).last().factor);
  const auto linear = [&](Value input, Value weights, Value bias) {
    return ops::add(g, ops::expert_matmul(g, input, weights, groups, e.route.n_used), ops::embed(g, bias, chosen));
  };
  const Value inner =
      ops::clamped_gated(g, linear(x, w.gate, w.gate_bias), linear(x, w.up, w.up_bias), alpha, limit);
  return ops::combine(g, linear(inner, w.down, w.down_bias), routed.weights);
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields(
      {.n_kv_heads = 8, .head_dim = 64, .max_context = 131072, .norm_eps = 1e-5, .attention_bias = true});
  const ops::Rope rope = read_rope(b, f.head_dim, f.max_context, {.theta = 150000});
  const std::vector<int64_t> windows = b.windows(f.n_layers, [](int64_t layer) { return layer % 2 == 0; });
  const Norm norm{f.norm_eps};
  const Heads heads{f.n_heads, f.n_kv_heads, f.head_dim, f.attention_bias};
  Experts experts = b.read_experts({"intermediate_size"});
  experts.route.score = "softmax_of_chosen";
  experts.router = b.has("model.layers.0.mlp.router.weight") ? "router" : "gate";
  const double alpha = b.number_or({"swiglu_alpha"}, 1.702);
  const double limit = b.number_or({"swiglu_limit"}, 7);
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    Qkv a = b.qkv(b.norm(x, p + "input_layernorm", norm), p + "self_attn", heads);
    a.q = ops::rope(g, a.q, b.positions(), rope);
    a.k = ops::rope(g, a.k, b.positions(), rope);
    ops::Attention attention;
    attention.window = windows[static_cast<size_t>(layer)];
    attention.sinks = b.vector(p + "self_attn.sinks", f.n_heads);
    x = ops::add(g, x, b.linear(b.attend(a, layer, attention), p + "self_attn.o_proj", f.hidden, f.attention_bias));
    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    x = ops::add(g, x, mixture(b, m, p + "mlp.", experts, alpha, limit));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f, experts);
}

}  // namespace strata::gpt_oss
