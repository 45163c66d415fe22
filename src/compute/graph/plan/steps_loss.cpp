// Steps of the training loss.
#include <algorithm>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

int64_t counted_targets(const Operand& targets) {
  return std::count_if(targets.i32(), targets.i32() + targets.leading(), [](int32_t id) { return id >= 0; });
}

class CrossEntropyStep final : public RowKernel {
 public:
  explicit CrossEntropyStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t grain(const StepArgs&) const override { return 4; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    CrossEntropyArgs args;
    args.logits = a.in[0].f32();
    args.targets = a.in[1].i32();
    args.loss = a.out[0].f32();
    args.dlogits = a.out[1].f32();
    args.vocab = a.in[0].last();
    args.scale = 1.0F / static_cast<float>(std::max<int64_t>(1, counted_targets(a.in[1])));
    kernels_.cross_entropy(args, begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

class MeanLossStep final : public StepKernel {
 public:
  int64_t items(const StepArgs&) const override { return 1; }
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    double sum = 0;
    for (int64_t i = 0; i < a.in[0].leading(); ++i) sum += a.in[0].f32()[i];
    a.out[0].f32()[0] = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(1, counted_targets(a.in[1]))));
  }
};

}  // namespace

std::unique_ptr<StepKernel> make_loss_step(const StepContext& c, const Node& node) {
  if (node.op->name == "cross_entropy") return std::make_unique<CrossEntropyStep>(c.kernels);
  return std::make_unique<MeanLossStep>();
}

}  // namespace strata
