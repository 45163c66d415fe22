#include "model/arch/deepseek.h"

#include <cmath>

#include "model/arch/rope_fields.h"

namespace strata::deepseek {
namespace {

struct Latent {
  int64_t q_rank = 0;  // 0: queries have no low-rank form
  int64_t kv_rank = 0, nope = 0, rope = 0, v_dim = 0;
  double scale = 1;
};

Latent read_latent(ModelBuilder& b) {
  Latent l;
  l.q_rank = b.int_or({"q_lora_rank"}, 0);
  l.kv_rank = b.require_int("kv_lora_rank");
  l.nope = b.require_int("qk_nope_head_dim");
  l.rope = b.require_int("qk_rope_head_dim");
  l.v_dim = b.require_int("v_head_dim");
  l.scale = 1 / std::sqrt(static_cast<double>(l.nope + l.rope));
  auto scaling = b.config().get_object("rope_parameters");
  if (!scaling) scaling = b.config().get_object("rope_scaling");
  if (scaling) {
    const double mscale =
        yarn_mscale(scaling->get_double("factor").value_or(1), scaling->get_double("mscale_all_dim").value_or(0));
    l.scale *= mscale * mscale;
  }
  return l;
}

Value attention(ModelBuilder& b, Value h, const std::string& p, int64_t layer, const Latent& l, const ops::Rope& rope,
                const DecoderFields& f) {
  Graph& g = b.graph();
  const Norm norm{1e-6};  // whatever the eps of the other norms
  const int64_t q_dim = f.n_heads * (l.nope + l.rope);
  const auto low = [&] {
    return b.norm(b.linear(h, p + "q_a_proj", l.q_rank, f.attention_bias), p + "q_a_layernorm", norm);
  };
  const Value q = b.split_heads(
      l.q_rank == 0 ? b.linear(h, p + "q_proj", q_dim) : b.linear(low(), p + "q_b_proj", q_dim), f.n_heads);
  const Value q_nope = ops::slice(g, q, 0, l.nope);
  const Value q_rope = ops::rope(g, ops::slice(g, q, l.nope, l.nope + l.rope), b.positions(), rope);

  const Value kv = b.linear(h, p + "kv_a_proj_with_mqa", l.kv_rank + l.rope, f.attention_bias);
  const Value latent = b.norm(ops::slice(g, kv, 0, l.kv_rank), p + "kv_a_layernorm", norm);
  const Value k_rope =
      ops::rope(g, b.split_heads(ops::slice(g, kv, l.kv_rank, l.kv_rank + l.rope), 1), b.positions(), rope);

  // Files have either both up-projections in one tensor, head by head, or each in its own, the keys' already
  // transposed.
  const bool split = !b.has(p + "kv_b_proj.weight") && b.has(p + "k_b_proj.weight");
  const int64_t stride = l.nope + l.v_dim;
  const Value k_up = split ? b.weight(p + "k_b_proj.weight", {f.n_heads, l.kv_rank, l.nope})
                           : b.head_slices(p + "kv_b_proj.weight", f.n_heads, stride, 0, l.nope, l.kv_rank, true);
  const Value v_up = split
                         ? b.weight(p + "v_b_proj.weight", {f.n_heads, l.v_dim, l.kv_rank})
                         : b.head_slices(p + "kv_b_proj.weight", f.n_heads, stride, l.nope, l.v_dim, l.kv_rank, false);
  const Value a = ops::latent_attention(g, q_nope, q_rope, latent, b.merge_heads(k_rope), k_up, v_up,
                                        {"cache." + std::to_string(layer), l.scale});
  return b.linear(b.merge_heads(a), p + "o_proj", f.hidden, f.attention_bias);
}

}  // namespace

void read_groups(ModelBuilder& b, Experts& experts) {
  ops::Route& route = experts.route;
  route.n_groups = b.int_or({"n_group"}, 1);
  route.n_groups_used = b.int_or({"topk_group"}, route.n_groups);
  if (experts.n_experts % route.n_groups != 0 || route.n_groups_used > route.n_groups ||
      route.n_used > experts.n_experts / route.n_groups * route.n_groups_used) {
    b.fail(invalid_argument(
        "config: n_group, topk_group, num_experts_per_tok and n_routed_experts do not fit each other"));
  }
}

Result<BuiltModel> build(const Checkpoint& checkpoint, Experts (*read_experts)(ModelBuilder&)) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields();
  const Latent latent = read_latent(b);
  ops::Rope rope = read_rope(b, latent.rope, f.max_context);
  rope.interleaved = b.flag_or({"rope_interleave"}, true);
  Experts experts = read_experts(b);
  experts.activation = f.activation;
  const int64_t n_dense = b.count_or({"first_k_dense_replace"}, 0);
  const int64_t n_shared = b.count_or({"n_shared_experts"}, 0);
  const Mlp mlp{f.feed_forward, f.activation, f.mlp_bias};
  const Mlp shared{experts.feed_forward * n_shared, f.activation, f.mlp_bias};
  const Norm norm{f.norm_eps};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("model.embed_tokens", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    x = ops::add(g, x, attention(b, b.norm(x, p + "input_layernorm", norm), p + "self_attn.", layer, latent, rope, f));

    const Value m = b.norm(x, p + "post_attention_layernorm", norm);
    Value y;
    if (layer < n_dense) {
      y = b.gated_mlp(m, p + "mlp", mlp);
    } else {
      const std::string bias = p + "mlp.gate.e_score_correction_bias";
      experts.choice_bias = b.has(bias) ? b.vector(bias, experts.n_experts) : Value{};
      y = b.mixture(m, p + "mlp", experts);
      if (n_shared > 0) y = ops::add(g, y, b.gated_mlp(m, p + "mlp.shared_experts", shared));
    }
    x = ops::add(g, x, y);
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "model.norm", norm), f);
  return b.finish(f, experts);
}

}  // namespace strata::deepseek
