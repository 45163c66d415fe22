// Steps of the training loss.
#include <algorithm>
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/head_step.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class CrossEntropyStep final : public RowKernel {
 public:
  explicit CrossEntropyStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t grain(const StepArgs&) const override { return 64; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    CrossEntropyArgs args;
    args.logits = a.in[0].f32();
    args.targets = a.in[1].i32();
    args.loss = a.out[0].f32();
    args.dlogits = a.out[1].f32();
    args.vocab = a.in[0].last();
    args.scale = gradient_scale(*a.batch);
    args.weights = weights_of(*a.batch);
    kernels_.cross_entropy(args, begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

class MeanLossStep final : public StepKernel {
 public:
  explicit MeanLossStep(const Node& node) : weight_(node.attributes.number("weight", 1)) {}
  int64_t items(const StepArgs&) const override { return 1; }
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    double sum = 0;
    for (int64_t i = 0; i < a.in[0].leading(); ++i) sum += a.in[0].f32()[i];
    a.out[0].f32()[0] = static_cast<float>(sum / loss_divisor(*a.batch) * weight_);
  }

 private:
  double weight_;
};

class HeadLossStep final : public HeadRowsStep {
 public:
  HeadLossStep(const StepContext& c, const Node& node)
      : HeadRowsStep(c, node),
        gradients_(node.attributes.integer("gradients") != 0),
        has_bias_(node.inputs.size() > 3),
        weight_(static_cast<float>(node.attributes.number("weight", 1))) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t rows, const Room& room) const override {
    float* z = room.z;
    const float* x = a.in[0].f32() + first * hidden_;
    const float* bias = has_bias_ ? a.in[3].f32() : nullptr;
    logits(z, room.inner, in_form(x, rows, room.rows), a.in[1].data, bias, rows, 0, vocab_);
    CrossEntropyArgs args;
    args.logits = z;
    args.targets = a.in[2].i32() + first;
    args.loss = a.out[0].f32() + first;
    args.log_sum_exp = a.out[1].f32() + first;
    args.vocab = vocab_;
    args.dlogits = gradients_ ? z : nullptr;
    args.scale = gradient_scale(*a.batch) * weight_;
    args.weights = a.batch->target_weights.empty() ? nullptr : weights_of(*a.batch) + first;
    kernels_.cross_entropy(args, 0, rows);
    if (!gradients_) return;
    to_inner(z, room.inner, rows * vocab_);
    kernels_.matmul_dx(a.out[2].f32() + first * hidden_, z, &family_, a.in[1].data, vocab_, hidden_, 0, rows, 0,
                       hidden_);
  }

  bool gradients_;
  bool has_bias_;
  float weight_;
};

// Logits are computed again, rows of x ascending.
class HeadLossDwStep final : public HeadColumnsStep {
 public:
  HeadLossDwStep(const StepContext& c, const Node& node)
      : HeadColumnsStep(c, node),
        has_bias_(node.inputs.size() > 4),
        weight_(static_cast<float>(node.attributes.number("weight", 1))) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t n, const Room& room) const override {
    float* z = room.z;
    float* dw = a.out[0].f32() + first * hidden_;
    float* db = has_bias_ ? a.out[1].f32() + first : nullptr;
    std::memset(dw, 0, static_cast<size_t>(n * hidden_) * sizeof(float));
    if (has_bias_) std::memset(db, 0, static_cast<size_t>(n) * sizeof(float));
    const float* weights = weights_of(*a.batch);
    CrossEntropyColumnsArgs args;
    args.z = z;
    args.n = n;
    args.first = first;
    args.scale = gradient_scale(*a.batch) * weight_;
    for (int64_t row = 0; row < a.in[0].leading(); row += kColumnRows) {
      const int64_t rows = std::min(kColumnRows, a.in[0].leading() - row);
      const float* x = a.in[0].f32() + row * hidden_;
      const float* bias = has_bias_ ? a.in[4].f32() : nullptr;
      logits(z, room.inner, in_form(x, rows, room.rows), a.in[1].data, bias, rows, first, n);
      args.targets = a.in[2].i32() + row;
      args.log_sum_exp = a.in[3].f32() + row;
      args.weights = weights == nullptr ? nullptr : weights + row;
      kernels_.cross_entropy_columns(args, 0, rows);
      to_inner(z, room.inner, rows * n);
      kernels_.matmul_dw(dw, z, x, rows, n, hidden_, 0, n, 0, hidden_);
      if (has_bias_) kernels_.add_bias_grad(db, z, rows, n, 0, n);
    }
  }

  bool has_bias_;
  float weight_;
};

}  // namespace

std::unique_ptr<StepKernel> make_loss_step(const StepContext& c, const Node& node) {
  if (node.op->name == "cross_entropy") return std::make_unique<CrossEntropyStep>(c.kernels);
  if (node.op->name == "head_loss") return std::make_unique<HeadLossStep>(c, node);
  if (node.op->name == "head_loss_dw") return std::make_unique<HeadLossDwStep>(c, node);
  return std::make_unique<MeanLossStep>(node);
}

}  // namespace strata
