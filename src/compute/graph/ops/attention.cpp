// Attention as models write it (attention, latent_attention), and as passes lower it: over a paged cache for
// generating, over flat segments for encoders and training.
#include <cmath>

#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata::ops {
namespace {

TensorType attention_type(const TensorType& q, Dim v_dim) { return {DType::kF32, {q.shape[0], q.shape[1], v_dim}}; }
TensorType lse_type(const TensorType& q) { return {DType::kF32, {q.shape[0], q.shape[1]}}; }

std::string check_qkv(Types in) {
  if (in.size() < 3 || in[0].shape.size() != 3 || in[1].shape.size() != 3 || in[2].shape.size() != 3) {
    return "wants q [T, n_heads, k_dim], k [T, n_kv_heads, k_dim], v [T, n_kv_heads, v_dim]";
  }
  if (in[0].last() != in[1].last() || in[1].shape[1] != in[2].shape[1]) return "q, k and v do not fit each other";
  if (in[0].shape[1].factor % in[1].shape[1].factor != 0) return "n_heads is no multiple of n_kv_heads";
  return {};
}

std::string check_alibi(const TensorType& q, const Attributes& a) {
  if (!a.has("alibi") || static_cast<int64_t>(a.numbers("alibi").size()) == q.shape[1].factor) return {};
  return "wants one alibi slope per head";
}

std::string infer_attention(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (std::string error = check_qkv(in); !error.empty()) return error;
  if (std::string error = check_alibi(in[0], a); !error.empty()) return error;
  out = {attention_type(in[0], in[2].last()), lse_type(in[0])};
  return {};
}

std::string infer_attention_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (std::string error = check_qkv(in); !error.empty()) return error;
  if (in.size() != 6) return "wants q, k, v, out, log_sum_exp and dout";
  out = {in[0], in[1], in[2]};
  return {};
}

std::string infer_latent_attention(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 6 || in[0].shape.size() != 3 || in[4].shape.size() != 3 || in[5].shape.size() != 3) {
    return "wants q_nope, q_rope, latent, k_rope, k_up and v_up";
  }
  const TensorType &latent = in[2], &k_up = in[4], &v_up = in[5];
  if (k_up.shape != Shape{in[0].shape[1], latent.last(), in[0].last()}) return "k_up wants [n_heads, rank, nope]";
  if (v_up.shape[0] != in[0].shape[1] || v_up.last() != latent.last()) return "v_up wants [n_heads, v_dim, rank]";
  out = {attention_type(in[0], v_up.shape[1])};
  return {};
}

// The state, k and maybe v.
std::string infer_cache_write(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() < 2 || in.size() > 3 || in[1].shape.size() != 3)
    return "wants state, k [T, n_kv_heads, k_dim] and maybe v";
  out = {in[0]};
  return {};
}

// q and the written state, maybe sinks. The second output is room for partials (AttentionArgs::partials), read by nobody.
std::string infer_paged_attention(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() < 2 || in[0].shape.size() != 3) return "wants q [T, n_heads, k_dim] and the cache";
  if (std::string error = check_alibi(in[0], a); !error.empty()) return error;
  const int64_t v_dim = a.integer("v_dim");
  const TensorType partials{DType::kF32, {kPartialRows, 16 + (v_dim + 15) / 16 * 16}};
  out = {attention_type(in[0], v_dim), partials};
  return {};
}

std::string infer_sinks_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 4 || in[1] != in[3] || in[1].shape.size() != 3 || in[0].shape != Shape{in[1].shape[1]})
    return "wants sinks [n_heads], out [T, n_heads, v_dim], log_sum_exp and dout";
  out = {in[0]};
  return {};
}

void attention_gradient(GradientContext& c) {
  const Value grad =
      c.graph.add_op("attention_grad",
                     {c.inputs[0], c.inputs[1], c.inputs[2], c.output(0), c.output(1), c.d_outputs[0]}, c.attributes());
  c.d_inputs = {grad, {grad.node, 1}, {grad.node, 2}};
  if (c.inputs.size() > 3)
    c.d_inputs.push_back(c.graph.add_op("sinks_grad", {c.inputs[3], c.output(0), c.output(1), c.d_outputs[0]}));
}

Attributes to_attributes(const Attention& attention) {
  Attributes attributes{{"state", attention.state}, {"scale", attention.scale}};
  if (attention.window != 0) attributes.set("window", attention.window);
  if (attention.softcap != 0) attributes.set("softcap", attention.softcap);
  if (!attention.causal) attributes.set("causal", int64_t{0});
  if (!attention.alibi.empty()) attributes.set("alibi", attention.alibi);
  if (attention.alibi_rounded) attributes.set("alibi_rounded", int64_t{1});
  return attributes;
}

const OpDef kOps[] = {
    {.name = "attention", .infer = infer_attention, .gradient = attention_gradient},
    {.name = "attention_grad", .infer = infer_attention_grad},
    {.name = "sinks_grad", .infer = infer_sinks_grad},
    {.name = "latent_attention", .infer = infer_latent_attention},
    {.name = "segment_attention", .infer = infer_attention},
    {.name = "cache_write", .infer = infer_cache_write, .row_wise = true, .keeps_state = true},
    {.name = "paged_attention", .infer = infer_paged_attention},
};

}  // namespace

std::span<const OpDef> attention_ops() { return kOps; }

Value attention(Graph& g, Value q, Value k, Value v, const Attention& attention) {
  std::vector<Value> inputs{q, k, v};
  if (attention.sinks.valid()) inputs.push_back(attention.sinks);
  Attention scaled = attention;
  if (scaled.scale == 0) scaled.scale = 1 / std::sqrt(static_cast<double>(g.type(q).last().factor));
  return g.add_op("attention", std::move(inputs), to_attributes(scaled));
}

Value latent_attention(Graph& g, Value q_nope, Value q_rope, Value latent, Value k_rope, Value k_up, Value v_up,
                       const Attention& attention) {
  return g.add_op("latent_attention", {q_nope, q_rope, latent, k_rope, k_up, v_up}, to_attributes(attention));
}

}  // namespace strata::ops
