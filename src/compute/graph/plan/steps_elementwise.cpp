// Steps of ops on numbers one by one.
#include <cstring>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

// Numbers per leading row of an operand.
int64_t width(const Operand& operand) { return operand.elements() / operand.leading(); }

class BinaryStep final : public RowKernel {
 public:
  using Function = void (*)(float*, const float*, const float*, int64_t);
  explicit BinaryStep(Function function) : function_(function) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t w = width(a.out[0]);
    function_(a.out[0].f32() + begin * w, a.in[0].f32() + begin * w, a.in[1].f32() + begin * w, (end - begin) * w);
  }

 private:
  Function function_;
};

// With one number for all: scale, clamp.
class NumberStep final : public RowKernel {
 public:
  using Function = void (*)(float*, const float*, float, int64_t);
  NumberStep(Function function, double number) : function_(function), number_(static_cast<float>(number)) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t w = width(a.out[0]);
    function_(a.out[0].f32() + begin * w, a.in[0].f32() + begin * w, number_, (end - begin) * w);
  }

 private:
  Function function_;
  float number_;
};

// Functions of whole rows of the last dimension: bias, softmax.
class LastDimStep final : public RowKernel {
 public:
  LastDimStep(const CpuKernels& kernels, bool softmax) : kernels_(kernels), softmax_(softmax) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t w = width(a.out[0]);
    const int64_t dim = a.out[0].last();
    float* y = a.out[0].f32() + begin * w;
    const float* x = a.in[0].f32() + begin * w;
    const int64_t rows = (end - begin) * w / dim;
    if (softmax_) {
      kernels_.softmax(y, x, rows, dim);
    } else {
      kernels_.add_bias(y, x, a.in[1].f32(), rows, dim);
    }
  }

 private:
  const CpuKernels& kernels_;
  bool softmax_;
};

class ActivationStep final : public RowKernel {
 public:
  ActivationStep(const CpuKernels& kernels, const Node& node)
      : kernels_(kernels), function_(activation_from_name(node.attributes.text("function"))), op_(node.op->name) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t w = width(a.out[0]);
    const int64_t at = begin * w;
    const int64_t n = (end - begin) * w;
    float* y = a.out[0].f32() + at;
    if (op_ == "activate") return kernels_.activate(function_, y, a.in[0].f32() + at, n);
    if (op_ == "gated") return kernels_.gated(function_, y, a.in[0].f32() + at, a.in[1].f32() + at, n);
    if (op_ == "activate_grad") return kernels_.activate_grad(function_, y, a.in[0].f32() + at, a.in[1].f32() + at, n);
    kernels_.gated_grad(function_, y, a.out[1].f32() + at, a.in[0].f32() + at, a.in[1].f32() + at, a.in[2].f32() + at,
                        n);
  }

 private:
  const CpuKernels& kernels_;
  Activation function_;
  std::string_view op_;
};

class ClampedGateStep final : public RowKernel {
 public:
  ClampedGateStep(const CpuKernels& kernels, const Node& node)
      : kernels_(kernels),
        alpha_(static_cast<float>(node.attributes.number("alpha"))),
        limit_(static_cast<float>(node.attributes.number("limit"))),
        grad_(node.op->name == "clamped_gated_grad") {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t w = width(a.out[0]);
    const int64_t at = begin * w;
    const int64_t n = (end - begin) * w;
    float* y = a.out[0].f32() + at;
    if (!grad_) return kernels_.clamped_gated(y, a.in[0].f32() + at, a.in[1].f32() + at, alpha_, limit_, n);
    kernels_.clamped_gated_grad(y, a.out[1].f32() + at, a.in[0].f32() + at, a.in[1].f32() + at, a.in[2].f32() + at,
                                alpha_, limit_, n);
  }

 private:
  const CpuKernels& kernels_;
  float alpha_;
  float limit_;
  bool grad_;
};

// dx from dy and what the forward op read (clamp) or gave (softmax).
class FromBothStep final : public RowKernel {
 public:
  FromBothStep(const CpuKernels& kernels, const Node& node)
      : kernels_(kernels),
        limit_(static_cast<float>(node.attributes.number("limit"))),
        softmax_(node.op->name == "softmax_grad") {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t w = width(a.out[0]);
    const int64_t dim = a.out[0].last();
    float* dx = a.out[0].f32() + begin * w;
    const float *dy = a.in[0].f32() + begin * w, *both = a.in[1].f32() + begin * w;
    if (softmax_) return kernels_.softmax_grad(dx, dy, both, (end - begin) * w / dim, dim);
    kernels_.clamp_grad(dx, dy, both, limit_, (end - begin) * w);
  }

 private:
  const CpuKernels& kernels_;
  float limit_;
  bool softmax_;
};

// Column sums; items are columns.
class SumRowsStep final : public StepKernel {
 public:
  explicit SumRowsStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].last(); }
  int64_t grain(const StepArgs&) const override { return 64; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    std::memset(a.out[0].f32() + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    kernels_.add_bias_grad(a.out[0].f32(), a.in[0].f32(), a.in[0].rows(), a.in[0].last(), begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

}  // namespace

Activation activation_from_name(const std::string& name) {
  static constexpr std::pair<std::string_view, Activation> kNames[] = {
      {"silu", Activation::kSilu}, {"gelu", Activation::kGelu},   {"gelu_tanh", Activation::kGeluTanh},
      {"relu", Activation::kRelu}, {"relu2", Activation::kRelu2}, {"sigmoid", Activation::kSigmoid},
      {"tanh", Activation::kTanh}};
  for (const auto& [known, activation] : kNames) {
    if (known == name) return activation;
  }
  check_failed(__FILE__, __LINE__, "no activation named " + name);
}

std::unique_ptr<StepKernel> make_elementwise_step(const StepContext& c, const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "add") return std::make_unique<BinaryStep>(c.kernels.add);
  if (op == "mul") return std::make_unique<BinaryStep>(c.kernels.mul);
  if (op == "scale") return std::make_unique<NumberStep>(c.kernels.scale, node.attributes.number("factor"));
  if (op == "clamp") return std::make_unique<NumberStep>(c.kernels.clamp, node.attributes.number("limit"));
  if (op == "softmax" || op == "add_bias") return std::make_unique<LastDimStep>(c.kernels, op == "softmax");
  if (op == "clamp_grad" || op == "softmax_grad") return std::make_unique<FromBothStep>(c.kernels, node);
  if (op == "sum_rows") return std::make_unique<SumRowsStep>(c.kernels);
  if (op == "clamped_gated" || op == "clamped_gated_grad") return std::make_unique<ClampedGateStep>(c.kernels, node);
  return std::make_unique<ActivationStep>(c.kernels, node);
}

}  // namespace strata
