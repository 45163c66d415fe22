// Steps of the gradients of mixture-of-experts layers. Sums run over experts ascending, within one over its pairs.
#include <algorithm>
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class RouteGradStep final : public RowKernel {
 public:
  RouteGradStep(const StepContext& c, const Node& node) : kernels_(c.kernels), form_(route_form(c, node)) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    RouteArgs args = form_;
    args.logits = a.in[1].f32();
    args.ids = static_cast<int32_t*>(a.in[2].data);
    kernels_.route_grad(a.out[0].f32(), a.in[0].f32(), args, begin, end);
  }

 private:
  const CpuKernels& kernels_;
  RouteArgs form_;
};

// Items are tokens.
class CombineGradStep final : public StepKernel {
 public:
  explicit CombineGradStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return a.in[0].leading(); }
  int64_t grain(const StepArgs&) const override { return 8; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    kernels_.combine_grad(a.out[0].f32(), a.out[1].f32(), a.in[0].f32(), a.in[1].f32(), a.in[2].f32(), a.in[0].last(),
                          static_cast<int>(a.in[2].last()), begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

// Items are rows of x. Where x has a row per token, its gradient is the sum over the token's experts.
class ExpertMatmulDxStep final : public StepKernel {
 public:
  ExpertMatmulDxStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels),
        family_(family_for(c.kernels, c.input(node, 1).dtype, c.input(node, 1).last().factor)),
        k_(c.input(node, 1).last().factor),
        pairs_per_row_(node.attributes.integer("row_per_token") != 0 ? node.attributes.integer("n_used") : 1) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].leading(); }
  int64_t grain(const StepArgs&) const override { return 16; }
  size_t workspace_bytes() const override { return static_cast<size_t>(k_) * sizeof(float); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const override {
    auto* one = static_cast<float*>(workspace);
    std::memset(a.out[0].f32() + begin * k_, 0, static_cast<size_t>((end - begin) * k_) * sizeof(float));
    const int64_t n = a.in[0].last();
    const size_t matrix = family_.packed_bytes(n, k_);
    for (int64_t expert = 0; expert < a.in[1].dims[0]; ++expert) {
      const auto* packed = static_cast<const std::byte*>(a.in[1].data) + static_cast<size_t>(expert) * matrix;
      for (int64_t i = a.in[3].i32()[expert]; i < a.in[3].i32()[expert + 1]; ++i) {
        const int64_t pair = a.in[2].i32()[i];
        const int64_t row = pair / pairs_per_row_;
        if (row < begin || row >= end) continue;
        kernels_.matmul_dx(one, a.in[0].f32() + pair * n, &family_, packed, n, k_, 0, 1, 0, k_);
        float* to = a.out[0].f32() + row * k_;
        kernels_.add(to, to, one, k_);
      }
    }
  }

 private:
  const CpuKernels& kernels_;
  const MatmulFamily& family_;
  int64_t k_;
  int64_t pairs_per_row_;
};

// Items are rows of all experts' gradients, one expert after the other.
class ExpertMatmulDwStep final : public StepKernel {
 public:
  ExpertMatmulDwStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels),
        pairs_per_row_(node.attributes.integer("row_per_token") != 0 ? node.attributes.integer("n_used") : 1) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].dims[0] * a.out[0].dims[1]; }
  int64_t grain(const StepArgs&) const override { return 16; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t n = a.out[0].dims[1];
    const int64_t k = a.out[0].dims[2];
    std::memset(a.out[0].f32() + begin * k, 0, static_cast<size_t>((end - begin) * k) * sizeof(float));
    for (int64_t expert = begin / n; expert * n < end; ++expert) {
      const int64_t first = std::max(begin - expert * n, int64_t{0});
      const int64_t last = std::min(end - expert * n, n);
      for (int64_t i = a.in[3].i32()[expert]; i < a.in[3].i32()[expert + 1]; ++i) {
        const int64_t pair = a.in[2].i32()[i];
        kernels_.matmul_dw(a.out[0].f32() + expert * n * k, a.in[0].f32() + pair * n,
                           a.in[1].f32() + pair / pairs_per_row_ * k, 1, n, k, first, last, 0, k);
      }
    }
  }

 private:
  const CpuKernels& kernels_;
  int64_t pairs_per_row_;
};

}  // namespace

std::unique_ptr<StepKernel> make_expert_gradient_step(const StepContext& c, const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "route_grad") return std::make_unique<RouteGradStep>(c, node);
  if (op == "combine_grad") return std::make_unique<CombineGradStep>(c.kernels);
  if (op == "expert_matmul_dx") return std::make_unique<ExpertMatmulDxStep>(c, node);
  return std::make_unique<ExpertMatmulDwStep>(c, node);
}

}  // namespace strata
