#include "compute/graph/passes/lower_attention.h"

#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"

namespace strata {
namespace {

Value cache_state(Graph& g, const std::string& name, DType type, int64_t n_kv_heads, int64_t k_dim, int64_t v_dim,
                  bool prefix) {
  Attributes shape{{"n_kv_heads", n_kv_heads}, {"k_dim", k_dim}, {"v_dim", v_dim}};
  if (prefix) shape.set("value_is_key_prefix", int64_t{1});
  return g.add_state(name, type, std::move(shape));
}

Attributes attention_attributes(const Attributes& from, int64_t v_dim) {
  Attributes attributes{{"scale", from.number("scale")}, {"v_dim", v_dim}};
  if (from.has("window")) attributes.set("window", from.integer("window"));
  if (from.has("softcap")) attributes.set("softcap", from.number("softcap"));
  if (from.has("alibi")) attributes.set("alibi", from.numbers("alibi"));
  if (from.has("alibi_rounded")) attributes.set("alibi_rounded", from.integer("alibi_rounded"));
  return attributes;
}

Value lower_segments(Rewriter& r, int32_t index) {
  const Node& node = r.from().nodes()[static_cast<size_t>(index)];
  const Value lowered = r.to().add_op("segment_attention", r.map(node.inputs), node.attributes);
  r.replace({index, 1}, {lowered.node, 1});
  return lowered;
}

Value lower_plain(Rewriter& r, const Node& node, DType cache_type) {
  Graph& g = r.to();
  const std::vector<Value> in = r.map(node.inputs);
  const TensorType k = g.type(in[1]);
  const int64_t v_dim = g.type(in[2]).last().factor;
  const Value state =
      cache_state(g, node.attributes.text("state"), cache_type, k.shape[1].factor, k.last().factor, v_dim, false);
  const Value written = g.add_op("cache_write", {state, in[1], in[2]});
  std::vector<Value> inputs{in[0], written};
  if (in.size() > 3) inputs.push_back(in[3]);
  return g.add_op("paged_attention", std::move(inputs), attention_attributes(node.attributes, v_dim));
}

Value lower_latent(Rewriter& r, const Node& node, DType cache_type) {
  Graph& g = r.to();
  const std::vector<Value> in = r.map(node.inputs);
  const int64_t rank = g.type(in[2]).last().factor;
  const int64_t rope = g.type(in[3]).last().factor;
  const Dim tokens = g.type(in[0]).shape[0];
  const Value q = ops::concat(g, ops::head_matmul(g, in[0], in[4]), in[1]);
  const Value row = ops::reshape(g, ops::concat(g, in[2], in[3]), {tokens, 1, rank + rope});
  const Value state = cache_state(g, node.attributes.text("state"), cache_type, 1, rank + rope, rank, true);
  const Value written = g.add_op("cache_write", {state, row});
  const Value attended = g.add_op("paged_attention", {q, written}, attention_attributes(node.attributes, rank));
  return ops::head_matmul(g, attended, in[5]);
}

// Latent attention without a cache: the same row [latent | rope part] is the key of all heads, its latent the value.
Value expand_latent(Rewriter& r, const Node& node, std::string_view attention) {
  Graph& g = r.to();
  const std::vector<Value> in = r.map(node.inputs);
  const int64_t rank = g.type(in[2]).last().factor;
  const int64_t rope = g.type(in[3]).last().factor;
  const Dim tokens = g.type(in[0]).shape[0];
  const Value q = ops::concat(g, ops::head_matmul(g, in[0], in[4]), in[1]);
  const Value k = ops::reshape(g, ops::concat(g, in[2], in[3]), {tokens, 1, rank + rope});
  const Value v = ops::reshape(g, in[2], {tokens, 1, rank});
  return ops::head_matmul(g, g.add_op(attention, {q, k, v}, node.attributes), in[5]);
}

}  // namespace

Graph expand_latent_attention(const Graph& graph) {
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    const bool latent = node.kind == NodeKind::kOp && node.op->name == "latent_attention";
    return latent ? expand_latent(r, node, "attention") : Value{};
  });
}

Graph lower_attention_paged(const Graph& graph, DType cache_type) {
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    if (node.kind != NodeKind::kOp) return {};
    if (node.op->name == "attention" && node.attributes.integer("causal", 1) == 0) return lower_segments(r, index);
    if (node.op->name == "attention") return lower_plain(r, node, cache_type);
    if (node.op->name == "latent_attention") return lower_latent(r, node, cache_type);
    return {};
  });
}

Graph lower_attention_segments(const Graph& graph) {
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    if (node.kind != NodeKind::kOp) return {};
    if (node.op->name == "attention") return lower_segments(r, index);
    if (node.op->name == "latent_attention") return expand_latent(r, node, "segment_attention");
    return {};
  });
}

}  // namespace strata
