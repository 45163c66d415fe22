// Steps of attention: the paged cache of generating models, flat segments for encoders and training.
#include <vector>

#include "compute/graph/op.h"
#include "compute/graph/plan/cache_shape.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

// The state node behind a written state.
const Node& state_of(const Graph& graph, Value value) {
  const Node* node = &graph.node(value);
  while (node->kind == NodeKind::kOp) node = &graph.node(node->inputs[0]);
  return *node;
}

// The numbers that Alibi of the kernels points at.
class AlibiSlopes {
 public:
  explicit AlibiSlopes(const Attributes& a) : rounded_(a.integer("alibi_rounded") != 0) {
    if (!a.has("alibi")) return;
    for (const double slope : a.numbers("alibi")) slopes_.push_back(static_cast<float>(slope));
  }
  Alibi get() const { return {slopes_.empty() ? nullptr : slopes_.data(), rounded_}; }

 private:
  std::vector<float> slopes_;
  bool rounded_;
};

class CacheWriteStep final : public RowKernel {
 public:
  CacheWriteStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels), shape_(cache_shape(state_of(c.graph, node.inputs[0]))), has_v_(node.inputs.size() > 2) {}
  int64_t items(const StepArgs& a) const override { return a.in[1].leading(); }
  int64_t grain(const StepArgs&) const override { return 16; }
  bool is_brief(const StepArgs& a) const override { return a.in[1].elements() <= kBriefNumbers; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    CacheWriteArgs args;
    args.shape = shape_;
    args.cache = a.in[0].data;
    args.k = a.in[1].f32();
    args.v = has_v_ ? a.in[2].f32() : nullptr;
    args.slots = a.batch->slots.data();
    kernels_.cache_write(args, begin, end);
  }

 private:
  const CpuKernels& kernels_;
  CacheShape shape_;
  bool has_v_;
};

class PagedAttentionStep final : public StepKernel {
 public:
  PagedAttentionStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels), has_sinks_(node.inputs.size() > 2), alibi_(node.attributes) {
    const Attributes& a = node.attributes;
    form_.shape = cache_shape(state_of(c.graph, node.inputs[1]));
    form_.n_heads = static_cast<int>(c.input(node, 0).shape[1].factor);
    form_.scale = static_cast<float>(a.number("scale"));
    form_.softcap = static_cast<float>(a.number("softcap"));
    form_.window = static_cast<int>(a.integer("window"));
  }
  int64_t items(const StepArgs& a) const override { return kernels_.attention_items(args(a)); }
  // Finding an item walks over the sequences before it: with hundreds of items, they go out some at a time.
  int64_t grain(const StepArgs& a) const override { return 1 + a.batch->sequences() / 16; }
  bool is_brief(const StepArgs& a) const override {
    constexpr int64_t kBriefProducts = 16384;
    const int64_t per_position = int64_t{form_.n_heads} * (form_.shape.k_dim + form_.shape.v_dim);
    int64_t products = 0;
    for (int64_t s = 0; s < a.batch->sequences() && products <= kBriefProducts; ++s) {
      const auto at = static_cast<size_t>(s);
      const int64_t queries = a.batch->query_begin[at + 1] - a.batch->query_begin[at];
      products += queries * a.batch->context_len[at] * per_position;
    }
    return products <= kBriefProducts;
  }
  size_t workspace_bytes() const override { return kernels_.attention_workspace(form_); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const override {
    kernels_.attention(args(a), begin, end, workspace);
  }

 private:
  AttentionArgs args(const StepArgs& a) const {
    AttentionArgs args = form_;
    args.cache = a.in[1].data;
    args.q = a.in[0].f32();
    args.out = a.out[0].f32();
    args.sinks = has_sinks_ ? a.in[2].f32() : nullptr;
    args.alibi = alibi_.get();
    args.n_sequences = static_cast<int>(a.batch->sequences());
    args.query_begin = a.batch->query_begin.data();
    args.context_len = a.batch->context_len.data();
    args.block_table = a.batch->block_table.data();
    args.block_table_stride = a.batch->block_table_stride;
    args.partials = a.out[1].f32();
    return args;
  }
  const CpuKernels& kernels_;
  bool has_sinks_;
  AlibiSlopes alibi_;
  AttentionArgs form_;
};

class SegmentAttentionStep final : public StepKernel {
 public:
  SegmentAttentionStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels), grad_(node.op->name == "attention_grad"), alibi_(node.attributes) {
    form_.n_heads = static_cast<int>(c.input(node, 0).shape[1].factor);
    form_.n_kv_heads = static_cast<int>(c.input(node, 1).shape[1].factor);
    form_.k_dim = static_cast<int>(c.input(node, 1).last().factor);
    form_.v_dim = static_cast<int>(c.input(node, 2).last().factor);
    form_.scale = static_cast<float>(node.attributes.number("scale"));
    form_.softcap = static_cast<float>(node.attributes.number("softcap"));
    form_.window = static_cast<int>(node.attributes.integer("window"));
    form_.causal = node.attributes.integer("causal", 1) != 0;
    has_sinks_ = !grad_ && node.inputs.size() > 3;
  }
  int64_t items(const StepArgs& a) const override {
    return grad_ ? kernels_.segment_attention_grad_items(forward(a)) : kernels_.segment_attention_items(forward(a));
  }
  // Finding an item walks over the segments before it: with thousands of them, items go out many at a time.
  int64_t grain(const StepArgs& a) const override { return 1 + items(a) / 256; }
  size_t workspace_bytes() const override { return kernels_.segment_attention_workspace(form_); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const override {
    if (!grad_) return kernels_.segment_attention(forward(a), begin, end, workspace);
    SegmentAttentionGradArgs args;
    args.forward = forward(a);
    args.dout = a.in[5].f32();
    args.dq = a.out[0].f32();
    args.dk = a.out[1].f32();
    args.dv = a.out[2].f32();
    kernels_.segment_attention_grad(args, begin, end, workspace);
  }

 private:
  SegmentAttentionArgs forward(const StepArgs& a) const {
    SegmentAttentionArgs args = form_;
    args.q = a.in[0].f32();
    args.k = a.in[1].f32();
    args.v = a.in[2].f32();
    args.out = grad_ ? a.in[3].f32() : a.out[0].f32();
    args.log_sum_exp = grad_ ? a.in[4].f32() : a.out[1].f32();
    args.alibi = alibi_.get();
    args.n_segments = static_cast<int>(a.batch->query_begin.size()) - 1;
    args.segment_begin = a.batch->query_begin.data();
    args.sinks = has_sinks_ ? a.in[3].f32() : nullptr;
    return args;
  }
  const CpuKernels& kernels_;
  bool grad_;
  bool has_sinks_ = false;
  AlibiSlopes alibi_;
  SegmentAttentionArgs form_;
};

// Items are heads.
class SinksGradStep final : public StepKernel {
 public:
  explicit SinksGradStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].last(); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    SinksGradArgs args;
    args.sinks = a.in[0].f32();
    args.out = a.in[1].f32();
    args.log_sum_exp = a.in[2].f32();
    args.dout = a.in[3].f32();
    args.tokens = a.in[1].leading();
    args.n_heads = static_cast<int>(a.in[1].dims[1]);
    args.v_dim = static_cast<int>(a.in[1].last());
    kernels_.sinks_grad(a.out[0].f32(), args, static_cast<int>(begin), static_cast<int>(end));
  }

 private:
  const CpuKernels& kernels_;
};

}  // namespace

CacheShape cache_shape(const Node& state) {
  CacheShape shape;
  shape.type = state.outputs[0].dtype;
  shape.n_kv_heads = static_cast<int>(state.attributes.integer("n_kv_heads"));
  shape.k_dim = static_cast<int>(state.attributes.integer("k_dim"));
  shape.v_dim = static_cast<int>(state.attributes.integer("v_dim"));
  shape.value_is_key_prefix = state.attributes.integer("value_is_key_prefix") != 0;
  return shape;
}

std::unique_ptr<StepKernel> make_attention_step(const StepContext& c, const Node& node) {
  if (node.op->name == "cache_write") return std::make_unique<CacheWriteStep>(c, node);
  if (node.op->name == "sinks_grad") return std::make_unique<SinksGradStep>(c.kernels);
  if (node.op->name == "paged_attention") return std::make_unique<PagedAttentionStep>(c, node);
  return std::make_unique<SegmentAttentionStep>(c, node);
}

}  // namespace strata
