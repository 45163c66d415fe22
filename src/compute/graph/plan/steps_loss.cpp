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
      : HeadRowsStep(c, node, 3),
        gradients_(node.attributes.integer("gradients") != 0),
        weight_(static_cast<float>(node.attributes.number("weight", 1))) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t rows, const Room& room) const override {
    logits(a, room, in_form(a, first, rows, room.rows), rows, 0, vocab_);
    CrossEntropyArgs args;
    args.logits = room.z;
    args.targets = a.in[2].i32() + first;
    args.loss = a.out[0].f32() + first;
    args.log_sum_exp = a.out[1].f32() + first;
    args.vocab = vocab_;
    args.dlogits = gradients_ ? room.z : nullptr;
    args.scale = gradient_scale(*a.batch) * weight_;
    args.weights = a.batch->target_weights.empty() ? nullptr : weights_of(*a.batch) + first;
    for (int64_t row = 0; row < rows; ++row) {
      kernels_.cross_entropy(args, row, row + 1);
      if (gradients_) to_inner(room, row * vocab_, vocab_);
    }
    if (gradients_) to_dx(a, room, a.out[2].f32() + first * hidden_, rows);
  }

  bool gradients_;
  float weight_;
};

// Logits are computed again, rows of x ascending.
class HeadLossDwStep final : public HeadColumnsStep {
 public:
  HeadLossDwStep(const StepContext& c, const Node& node)
      : HeadColumnsStep(c, node, 4), weight_(static_cast<float>(node.attributes.number("weight", 1))) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t n, const Room& room) const override {
    float* dw = a.out[0].f32() + first * hidden_;
    float* db = has_bias() ? a.out[1].f32() + first : nullptr;
    std::memset(dw, 0, static_cast<size_t>(n * hidden_) * sizeof(float));
    if (db != nullptr) std::memset(db, 0, static_cast<size_t>(n) * sizeof(float));
    const float* weights = weights_of(*a.batch);
    CrossEntropyColumnsArgs args;
    args.z = room.z;
    args.n = n;
    args.first = first;
    args.scale = gradient_scale(*a.batch) * weight_;
    for (int64_t row = 0; row < a.in[0].leading(); row += kColumnRows) {
      const int64_t rows = std::min(kColumnRows, a.in[0].leading() - row);
      logits(a, room, in_form(a, row, rows, room.rows), rows, first, n);
      args.targets = a.in[2].i32() + row;
      args.log_sum_exp = a.in[3].f32() + row;
      args.weights = weights == nullptr ? nullptr : weights + row;
      kernels_.cross_entropy_columns(args, 0, rows);
      to_inner(room, 0, rows * n);
      add_dw(a, room, row, rows, n, dw, db);
    }
  }

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
