// Steps of distillation: what a teacher's head says, and a student's head with its loss.
#include <algorithm>
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/head_step.h"

namespace strata {
namespace {

class HeadTopStep final : public HeadRowsStep {
 public:
  HeadTopStep(const StepContext& c, const Node& node)
      : HeadRowsStep(c, node, 2), temperature_(static_cast<float>(node.attributes.number("temperature", 1))) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t rows, const Room& room) const override {
    logits(a, room, in_form(a, first, rows, room.rows), rows, 0, vocab_);
    TopProbabilitiesArgs args;
    args.logits = room.z;
    args.k = a.out[0].last();
    args.ids = static_cast<int32_t*>(a.out[0].data) + first * args.k;
    args.probabilities = a.out[1].f32() + first * (args.k + 1);
    args.vocab = vocab_;
    args.temperature = temperature_;
    kernels_.top_probabilities(args, 0, rows);
  }

  float temperature_;
};

struct Distillation {
  explicit Distillation(const Node& node)
      : temperature(static_cast<float>(node.attributes.number("temperature", 1))),
        share(static_cast<float>(node.attributes.number("share", 1))),
        beta(static_cast<float>(node.attributes.number("beta"))) {}
  float temperature;
  float share;
  float beta;
};

const float* shares_of(const Batch& batch) {  // null: as the node says
  return batch.teacher_shares.empty() ? nullptr : batch.teacher_shares.data();
}

// In: x, w, targets, ids, probabilities, maybe bias.
class HeadDistillStep final : public HeadRowsStep {
 public:
  HeadDistillStep(const StepContext& c, const Node& node)
      : HeadRowsStep(c, node, 5),
        distillation_(node),
        gradients_(node.attributes.integer("gradients") != 0) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t rows, const Room& room) const override {
    logits(a, room, in_form(a, first, rows, room.rows), rows, 0, vocab_);
    const float *weights = weights_of(*a.batch), *shares = shares_of(*a.batch);
    DistillArgs args;
    args.logits = room.z;
    args.targets = a.in[2].i32() + first;
    args.k = a.in[3].last();
    args.ids = a.in[3].i32() + first * args.k;
    args.probabilities = a.in[4].f32() + first * (args.k + 1);
    args.loss = a.out[0].f32() + first;
    args.divergence = a.out[1].f32() + first;
    args.record = a.out[2].f32() + first * (args.k + 3);
    args.dlogits = gradients_ ? room.z : nullptr;
    args.vocab = vocab_;
    args.temperature = distillation_.temperature;
    args.share = distillation_.share;
    args.beta = distillation_.beta;
    args.scale = gradient_scale(*a.batch);
    args.weights = weights == nullptr ? nullptr : weights + first;
    args.shares = shares == nullptr ? nullptr : shares + first;
    for (int64_t row = 0; row < rows; ++row) {
      kernels_.distill(args, row, row + 1);
      if (gradients_) to_inner(room, row * vocab_, vocab_);
    }
    if (gradients_) to_dx(a, room, a.out[3].f32() + first * hidden_, rows);
  }

  Distillation distillation_;
  bool gradients_;
};

// In: x, w, targets, ids, record, maybe bias.
class HeadDistillDwStep final : public HeadColumnsStep {
 public:
  HeadDistillDwStep(const StepContext& c, const Node& node) : HeadColumnsStep(c, node, 5), distillation_(node) {}

 private:
  void block(const StepArgs& a, int64_t first, int64_t n, const Room& room) const override {
    float* dw = a.out[0].f32() + first * hidden_;
    float* db = has_bias() ? a.out[1].f32() + first : nullptr;
    std::memset(dw, 0, static_cast<size_t>(n * hidden_) * sizeof(float));
    if (db != nullptr) std::memset(db, 0, static_cast<size_t>(n) * sizeof(float));
    const float *weights = weights_of(*a.batch), *shares = shares_of(*a.batch);
    DistillColumnsArgs args;
    args.z = room.z;
    args.n = n;
    args.first = first;
    args.k = a.in[3].last();
    args.temperature = distillation_.temperature;
    args.share = distillation_.share;
    args.scale = gradient_scale(*a.batch);
    for (int64_t row = 0; row < a.in[0].leading(); row += kColumnRows) {
      const int64_t rows = std::min(kColumnRows, a.in[0].leading() - row);
      logits(a, room, in_form(a, row, rows, room.rows), rows, first, n);
      args.targets = a.in[2].i32() + row;
      args.ids = a.in[3].i32() + row * args.k;
      args.record = a.in[4].f32() + row * (args.k + 3);
      args.weights = weights == nullptr ? nullptr : weights + row;
      args.shares = shares == nullptr ? nullptr : shares + row;
      kernels_.distill_columns(args, 0, rows);
      to_inner(room, 0, rows * n);
      add_dw(a, room, row, rows, n, dw, db);
    }
  }

  Distillation distillation_;
};

// Hidden states against a teacher's: one sum over all numbers, ascending.
class HiddenDistanceStep final : public StepKernel {
 public:
  explicit HiddenDistanceStep(const Node& node) : weight_(node.attributes.number("weight")) {}
  int64_t items(const StepArgs&) const override { return 1; }
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    const float *x = a.in[0].f32(), *teacher = a.in[1].f32();
    double sum = 0;
    for (int64_t i = 0; i < a.in[0].elements(); ++i) {
      const double apart = static_cast<double>(x[i]) - teacher[i];
      sum += apart * apart;
    }
    const auto count = static_cast<double>(a.in[0].elements());
    a.out[0].f32()[0] = static_cast<float>(weight_ * part_of_step(*a.batch) * sum / count);
  }

 private:
  double weight_;
};

class HiddenDistanceGradStep final : public RowKernel {
 public:
  explicit HiddenDistanceGradStep(const Node& node) : weight_(node.attributes.number("weight")) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.in[0].last();
    const auto count = static_cast<double>(a.in[0].elements());
    const auto factor = static_cast<float>(2 * weight_ * part_of_step(*a.batch) / count);
    for (int64_t i = begin * dim; i < end * dim; ++i)
      a.out[0].f32()[i] = factor * (a.in[0].f32()[i] - a.in[1].f32()[i]);
  }

 private:
  double weight_;
};

}  // namespace

std::unique_ptr<StepKernel> make_distillation_step(const StepContext& c, const Node& node) {
  if (node.op->name == "hidden_distance") return std::make_unique<HiddenDistanceStep>(node);
  if (node.op->name == "hidden_distance_grad") return std::make_unique<HiddenDistanceGradStep>(node);
  if (node.op->name == "head_top") return std::make_unique<HeadTopStep>(c, node);
  if (node.op->name == "head_distill") return std::make_unique<HeadDistillStep>(c, node);
  return std::make_unique<HeadDistillDwStep>(c, node);
}

}  // namespace strata
