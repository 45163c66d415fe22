// The blocks of model_builder.h: what architectures compose.
#include "model/arch/model_builder.h"

#include "compute/graph/op.h"

namespace strata {

Value ModelBuilder::ids() { return graph_.add_input("ids", {DType::kI32, {Dim::tokens()}}); }
Value ModelBuilder::positions() { return graph_.add_input("positions", {DType::kI32, {Dim::tokens()}}); }

Value ModelBuilder::embed(const std::string& name, int64_t n, int64_t dim, Value index) {
  return ops::embed(graph_, weight(name + ".weight", {n, dim}), index);
}

Value ModelBuilder::norm(Value x, const std::string& name, const Norm& norm) {
  const int64_t dim = width(x);
  const auto numbers = [&](const char* which) {
    return norm.per_head ? head_vectors(name, which, graph_.type(x).shape[1].factor, dim) : vector(name + which, dim);
  };
  const Value w = numbers(".weight");
  if (!norm.centered) return ops::rms_norm(graph_, x, w, norm.eps, norm.offset);
  return ops::layer_norm(graph_, x, w, norm.bias ? numbers(".bias") : Value{}, norm.eps, norm.offset);
}

Value ModelBuilder::linear(Value x, const std::string& name, int64_t n, bool bias, const Rows& rows) {
  const Value y = ops::matmul(graph_, x, matrix(name + ".weight", n, width(x), rows));
  return bias ? ops::add_bias(graph_, y, vector(name + ".bias", n, rows)) : y;
}

Value ModelBuilder::split_heads(Value x, int64_t n_heads) {
  const TensorType type = graph_.type(x);
  return ops::reshape(graph_, x, {type.shape[0], n_heads, type.last().factor / n_heads});
}

Value ModelBuilder::merge_heads(Value x) {
  const TensorType type = graph_.type(x);
  return ops::reshape(graph_, x, {type.shape[0], type.shape[1].factor * type.shape[2].factor});
}

Qkv ModelBuilder::qkv(Value x, const std::string& prefix, const Heads& heads) {
  const auto project = [&](const char* name, int64_t n) {
    return split_heads(linear(x, prefix + name, n * heads.head_dim, heads.bias), n);
  };
  return {project(".q_proj", heads.n_heads), project(".k_proj", heads.n_kv_heads),
          project(".v_proj", heads.n_kv_heads)};
}

Qkv ModelBuilder::fused_qkv(Value x, const std::string& name, const Heads& heads, QkvOrder order, bool transposed) {
  const int64_t d = heads.head_dim;
  const int64_t per_group = heads.n_heads / heads.n_kv_heads;
  Rows rows;
  rows.of = (heads.n_heads + 2 * heads.n_kv_heads) * d;
  rows.transposed = transposed;
  // `first` head of a group (of everything), of which `n` are taken.
  const auto project = [&](int64_t first_in_group, int64_t first, int64_t n) {
    rows.first = (order == QkvOrder::kGroups ? first_in_group : first) * d;
    if (order == QkvOrder::kGroups) {
      rows.group = n / heads.n_kv_heads * d;
      rows.stride = (per_group + 2) * d;
    }
    return split_heads(linear(x, name, n * d, heads.bias, rows), n);
  };
  return {project(0, 0, heads.n_heads), project(per_group, heads.n_heads, heads.n_kv_heads),
          project(per_group + 1, heads.n_heads + heads.n_kv_heads, heads.n_kv_heads)};
}

Value ModelBuilder::attend(const Qkv& qkv, int64_t layer, ops::Attention attention) {
  attention.state = "cache." + std::to_string(layer);
  return merge_heads(ops::attention(graph_, qkv.q, qkv.k, qkv.v, attention));
}

Value ModelBuilder::gated_mlp(Value x, const std::string& prefix, const Mlp& mlp) {
  const Value gate = linear(x, prefix + ".gate_proj", mlp.feed_forward, mlp.bias);
  const Value up = linear(x, prefix + ".up_proj", mlp.feed_forward, mlp.bias);
  return linear(ops::gated(graph_, gate, up, mlp.activation), prefix + ".down_proj", width(x), mlp.bias);
}

Value ModelBuilder::fused_gated_mlp(Value x, const std::string& prefix, const Mlp& mlp) {
  const std::string name = prefix + ".gate_up_proj";
  const int64_t n = mlp.feed_forward;
  const Value gate = linear(x, name, n, mlp.bias, {.of = 2 * n});
  const Value up = linear(x, name, n, mlp.bias, {.of = 2 * n, .first = n});
  return linear(ops::gated(graph_, gate, up, mlp.activation), prefix + ".down_proj", width(x), mlp.bias);
}

Value ModelBuilder::plain_mlp(Value x, const std::string& up, const std::string& down, const Mlp& mlp,
                              bool transposed) {
  const Rows rows{.transposed = transposed};
  const Value inner = ops::activate(graph_, linear(x, up, mlp.feed_forward, mlp.bias, rows), mlp.activation);
  return linear(inner, down, width(x), mlp.bias, rows);
}

Value ModelBuilder::mixture(Value x, const std::string& prefix, const Experts& e) {
  const ops::Routed routed =
      ops::route(graph_, linear(x, prefix + "." + e.router, e.n_experts), e.choice_bias, e.route);
  const ops::ExpertGroups groups = ops::expert_groups(graph_, routed.ids, e.n_experts);
  const auto multiply = [&](Value input, Value weights) {
    return ops::expert_matmul(graph_, input, weights, groups, e.route.n_used);
  };
  const std::string under = prefix + ".experts";
  const std::string fused = under + ".gate_up_proj";  // as some tools save them: gate and up of each expert together
  const int64_t n = e.feed_forward, dim = width(x);
  Value gate, up, down;
  if (has(fused)) {
    gate = stacked(fused, e.n_experts, n, dim, {.of = 2 * n});
    up = stacked(fused, e.n_experts, n, dim, {.of = 2 * n, .first = n});
    down = stacked(under + ".down_proj", e.n_experts, dim, n, {});
  } else {
    gate = experts(under, e.gate, e.n_experts, n, dim);
    up = experts(under, e.up, e.n_experts, n, dim);
    down = experts(under, e.down, e.n_experts, dim, n);
  }
  const Value inner = ops::gated(graph_, multiply(x, gate), multiply(x, up), e.activation);
  return ops::combine(graph_, multiply(inner, down), routed.weights);
}

void ModelBuilder::end_layer(int64_t layer, Value x) { graph_.add_tap("layer." + std::to_string(layer), x); }

Value ModelBuilder::output_rows(Value x) {
  return ops::gather_rows(graph_, x, graph_.add_input("output_rows", {DType::kI32, {Dim::outputs()}}));
}

void ModelBuilder::logits(Value x, const DecoderFields& fields, const Head& head) {
  graph_.add_tap("hidden", x);
  add_exits(x);
  const std::string& name = fields.tied ? head.embedding : head.name;
  Value y = ops::matmul(graph_, x, weight(name + ".weight", {fields.vocab, width(x)}));
  if (head.bias) y = ops::add_bias(graph_, y, vector(head.name + ".bias", fields.vocab));
  if (head.scale != 1) y = ops::scale(graph_, y, head.scale);
  if (head.softcap != 0) {
    const Value bent = ops::activate(graph_, ops::scale(graph_, y, 1 / head.softcap), "tanh");
    y = ops::scale(graph_, bent, head.softcap);
  }
  graph_.add_output("logits", y);
}

void ModelBuilder::add_exits(Value hidden) {
  const std::vector<int64_t> layers = config_.get_ints("exits").value_or(std::vector<int64_t>());
  const Node norm = graph_.node(hidden);  // a copy: adding nodes moves it
  const bool is_norm = norm.kind == NodeKind::kOp && (norm.op->name == "rms_norm" || norm.op->name == "layer_norm");
  for (const int64_t layer : layers) {
    const Value x = graph_.find_tap("layer." + std::to_string(layer));
    const std::string exit = "exit." + std::to_string(layer);
    if (!x.valid() || !is_norm || graph_.find_tap(exit).valid()) {
      return fail(invalid_argument("config: exits: there can be no exit after layer " + std::to_string(layer) +
                                   (is_norm ? " (give each layer once, counted from 0)" : "")));
    }
    std::vector<Value> inputs{output_rows(x)};
    for (size_t i = 1; i < norm.inputs.size(); ++i)
      inputs.push_back(weight("exits." + std::to_string(layer) + (i == 1 ? ".norm.weight" : ".norm.bias"), {width(x)}));
    graph_.add_tap(exit, graph_.add_op(norm.op->name, std::move(inputs), norm.attributes));
  }
}

}  // namespace strata
