// Steps of mixture-of-experts layers. Nothing is computed for experts that no token chose.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class RouteStep final : public RowKernel {
 public:
  RouteStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels), has_bias_(node.inputs.size() > 1), form_(route_form(c, node)) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    RouteArgs args = form_;
    args.logits = a.in[0].f32();
    args.bias = has_bias_ ? a.in[1].f32() : nullptr;
    args.ids = static_cast<int32_t*>(a.out[0].data);
    args.weights = a.out[1].f32();
    kernels_.route(args, begin, end);
  }

 private:
  const CpuKernels& kernels_;
  bool has_bias_;
  RouteArgs form_;
};

// Counting sort of the pairs by expert: within an expert, pairs ascend.
class GroupStep final : public StepKernel {
 public:
  int64_t items(const StepArgs&) const override { return 1; }
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    const int64_t pairs = a.in[0].elements();
    const int32_t* ids = a.in[0].i32();
    auto* order = static_cast<int32_t*>(a.out[0].data);
    auto* begin = static_cast<int32_t*>(a.out[1].data);
    const int64_t n_experts = a.out[1].last() - 1;
    std::fill(begin, begin + n_experts + 1, 0);
    for (int64_t p = 0; p < pairs; ++p) ++begin[ids[p] + 1];
    for (int64_t e = 0; e < n_experts; ++e) begin[e + 1] += begin[e];
    for (int64_t p = 0; p < pairs; ++p) order[begin[ids[p]]++] = static_cast<int32_t>(p);
    for (int64_t e = n_experts; e > 0; --e) begin[e] = begin[e - 1];
    begin[0] = 0;
  }
};

class ExpertMatmulStep final : public StepKernel {
 public:
  ExpertMatmulStep(const StepContext& c, const Node& node)
      : family_(family_for(c.kernels, c.input(node, 1).dtype, c.input(node, 1).last().factor)),
        n_used_(node.attributes.integer("n_used")) {}

  int64_t items(const StepArgs& a) const override {
    int64_t total = 0;
    for (int64_t e = 0; e < a.in[1].dims[0]; ++e) total += family_.tiles(expert_args(a, e, nullptr));
    return total;
  }

  size_t workspace_bytes() const override { return kMaxRows * sizeof(int32_t); }

  void run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const override {
    int64_t first = 0;  // number of the expert's first tile
    for (int64_t e = 0; e < a.in[1].dims[0] && first < end; ++e) {
      const int64_t tiles = family_.tiles(expert_args(a, e, nullptr));
      const int64_t from = std::max(begin, first) - first;
      const int64_t to = std::min(end - first, tiles);
      if (from < to) family_.run(expert_args(a, e, static_cast<int32_t*>(workspace)), from, to);
      first += tiles;
    }
  }

 private:
  static constexpr size_t kMaxRows = 1 << 16;  // pairs of one expert in one step

  // `x_rows`: room for the rows that the pairs read, null when only the shape is asked for.
  MatmulArgs expert_args(const StepArgs& a, int64_t expert, int32_t* x_rows) const {
    const int32_t* pairs = a.in[2].i32() + a.in[3].i32()[expert];
    MatmulArgs m;
    m.rows = a.in[3].i32()[expert + 1] - a.in[3].i32()[expert];
    m.n = a.out[0].last();
    m.k = a.in[0].last();
    m.x = a.in[0].data;
    m.y = a.out[0].f32();
    m.y_stride = m.n;
    m.packed =
        static_cast<const std::byte*>(a.in[1].data) + static_cast<size_t>(expert) * family_.packed_bytes(m.n, m.k);
    m.y_rows = pairs;
    m.x_rows = pairs;
    const bool row_per_token = a.in[0].leading() * n_used_ == a.out[0].leading() && n_used_ > 1;
    if (row_per_token && x_rows != nullptr) {
      CHECK_LE(m.rows, static_cast<int64_t>(kMaxRows));
      for (int64_t i = 0; i < m.rows; ++i) x_rows[i] = pairs[i] / static_cast<int32_t>(n_used_);
      m.x_rows = x_rows;
    }
    return m;
  }
  const MatmulFamily& family_;
  int64_t n_used_;
};

class CombineStep final : public RowKernel {
 public:
  explicit CombineStep(const CpuKernels& kernels) : kernels_(kernels) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    kernels_.combine(a.out[0].f32(), a.in[0].f32(), a.in[1].f32(), a.out[0].last(), static_cast<int>(a.in[1].last()),
                     begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

}  // namespace

RouteArgs route_form(const StepContext& c, const Node& node) {
  const Attributes& a = node.attributes;
  const size_t logits = node.op->name == "route" ? 0 : 1;
  RouteArgs form;
  form.n_experts = static_cast<int>(c.input(node, logits).last().factor);
  form.n_used = static_cast<int>(a.integer("n_used"));
  const std::string score = a.text("score", "softmax");
  form.score = score == "sigmoid"             ? RouteArgs::Score::kSigmoid
               : score == "softmax_of_chosen" ? RouteArgs::Score::kSoftmaxOfChosen
                                              : RouteArgs::Score::kSoftmax;
  form.normalize = a.integer("normalize") != 0;
  form.scale = static_cast<float>(a.number("scale", 1));
  form.n_groups = static_cast<int>(a.integer("n_groups", 1));
  form.n_groups_used = static_cast<int>(a.integer("n_groups_used", 1));
  form.n_group_best = static_cast<int>(a.integer("n_group_best", 2));
  return form;
}

std::unique_ptr<StepKernel> make_expert_step(const StepContext& c, const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "route") return std::make_unique<RouteStep>(c, node);
  if (op == "expert_groups") return std::make_unique<GroupStep>();
  if (op == "expert_matmul") return std::make_unique<ExpertMatmulStep>(c, node);
  return std::make_unique<CombineStep>(c.kernels);
}

}  // namespace strata
