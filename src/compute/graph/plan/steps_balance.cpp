// Steps of the balance of experts. All of them are small beside the experts they speak of.
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/head_step.h"

namespace strata {
namespace {

// Items are experts: a column of the probabilities, summed over the tokens ascending.
class ExpertSharesStep final : public StepKernel {
 public:
  explicit ExpertSharesStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return a.in[0].last(); }
  int64_t grain(const StepArgs&) const override { return 64; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t n_experts = a.in[0].last(), tokens = a.in[0].leading();
    float* counts = a.out[0].f32();
    float* means = counts + n_experts;
    std::memset(counts + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    std::memset(means + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    const int32_t* ids = a.in[1].i32();
    for (int64_t i = 0; i < tokens * a.in[1].last(); ++i) {
      if (ids[i] >= begin && ids[i] < end) ++counts[ids[i]];
    }
    kernels_.add_bias_grad(means, a.in[0].f32(), tokens, n_experts, begin, end);
    const auto count = static_cast<float>(tokens);
    for (int64_t e = begin; e < end; ++e) {
      counts[e] /= count;
      means[e] /= count;
    }
  }

 private:
  const CpuKernels& kernels_;
};

class ExpertSharesGradStep final : public RowKernel {
 public:
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t n_experts = a.out[0].last();
    const float* d = a.in[0].f32() + n_experts;  // by the mean probabilities
    const auto tokens = static_cast<float>(a.out[0].leading());
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t e = 0; e < n_experts; ++e) a.out[0].f32()[row * n_experts + e] = d[e] / tokens;
    }
  }
};

class BalanceStep : public StepKernel {
 public:
  explicit BalanceStep(const Node& node) : weight_(node.attributes.number("weight", 1)) {}
  int64_t items(const StepArgs&) const override { return 1; }

 protected:
  // The batch's part of the step times what the loss is multiplied by.
  double factor(const StepArgs& a) const {
    return weight_ * part_of_step(*a.batch) * static_cast<double>(a.in[0].last());
  }

 private:
  double weight_;
};

class BalanceLossStep final : public BalanceStep {
 public:
  using BalanceStep::BalanceStep;
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    const int64_t n_experts = a.in[0].last();
    const float* shares = a.in[0].f32();
    double sum = 0;
    for (int64_t e = 0; e < n_experts; ++e) sum += static_cast<double>(shares[e]) * shares[n_experts + e];
    a.out[0].f32()[0] = static_cast<float>(factor(a) * sum);
  }
};

class BalanceLossGradStep final : public BalanceStep {
 public:
  using BalanceStep::BalanceStep;
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    const int64_t n_experts = a.in[0].last();
    float* d = a.out[0].f32();
    for (int64_t e = 0; e < n_experts; ++e) {
      d[e] = 0;
      d[n_experts + e] = static_cast<float>(factor(a) * a.in[0].f32()[e]);
    }
  }
};

}  // namespace

std::unique_ptr<StepKernel> make_balance_step(const StepContext& c, const Node& node) {
  if (node.op->name == "expert_shares") return std::make_unique<ExpertSharesStep>(c.kernels);
  if (node.op->name == "expert_shares_grad") return std::make_unique<ExpertSharesGradStep>();
  if (node.op->name == "balance_loss") return std::make_unique<BalanceLossStep>(node);
  return std::make_unique<BalanceLossGradStep>(node);
}

}  // namespace strata
