// Steps of normalizations and their gradients.
#include <algorithm>
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class NormStep final : public RowKernel {
 public:
  NormStep(const CpuKernels& kernels, const Node& node)
      : kernels_(kernels),
        op_(node.op->name),
        has_bias_(node.inputs.size() > 2),
        eps_(static_cast<float>(node.attributes.number("eps"))),
        w_offset_(static_cast<float>(node.attributes.number("w_offset"))) {}

  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.out[0].last();
    const int64_t per_item = a.out[0].rows() / a.out[0].leading();
    const int64_t at = begin * per_item * dim;
    const int64_t rows = (end - begin) * per_item;
    float* y = a.out[0].f32() + at;
    const float* x = a.in[0].f32() + at;
    if (op_ == "rms_norm") return kernels_.rms_norm(y, x, a.in[1].f32(), rows, dim, eps_, w_offset_);
    if (op_ == "layer_norm") return layer_norm(a, y, x, rows);
    if (op_ == "layer_norm_dx") return layer_norm_dx(a, y, x, at, rows);
    kernels_.rms_norm_dx(y, x, a.in[1].f32() + at, a.in[2].f32(), rows, dim, eps_, w_offset_);
  }

 private:
  // Weights of one row serve all; weights of heads serve a row each.
  void layer_norm(const StepArgs& a, float* y, const float* x, int64_t rows) const {
    const int64_t dim = a.out[0].last();
    const float* w = a.in[1].f32();
    const float* b = has_bias_ ? a.in[2].f32() : nullptr;
    const int64_t n_heads = a.in[1].rows();
    if (n_heads == 1) return kernels_.layer_norm(y, x, w, b, rows, dim, eps_, w_offset_);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t head = row % n_heads * dim;
      kernels_.layer_norm(y + row * dim, x + row * dim, w + head, b == nullptr ? b : b + head, 1, dim, eps_, w_offset_);
    }
  }

  // dy begins at `dy`, x at number `at` of the value.
  void layer_norm_dx(const StepArgs& a, float* dx, const float* dy, int64_t at, int64_t rows) const {
    const int64_t dim = a.out[0].last();
    const float *x = a.in[1].f32() + at, *w = a.in[2].f32();
    const int64_t n_heads = a.in[2].rows();
    if (n_heads == 1) return kernels_.layer_norm_dx(dx, dy, x, w, rows, dim, eps_, w_offset_);
    for (int64_t row = 0; row < rows; ++row) {
      const float* of_head = w + row % n_heads * dim;
      kernels_.layer_norm_dx(dx + row * dim, dy + row * dim, x + row * dim, of_head, 1, dim, eps_, w_offset_);
    }
  }

  const CpuKernels& kernels_;
  std::string_view op_;
  bool has_bias_;
  float eps_;
  float w_offset_;
};

// Items are columns of the weight's gradient.
class RmsNormDwStep final : public StepKernel {
 public:
  RmsNormDwStep(const CpuKernels& kernels, const Node& node)
      : kernels_(kernels), eps_(static_cast<float>(node.attributes.number("eps"))) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].last(); }
  int64_t grain(const StepArgs&) const override { return 256; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    std::memset(a.out[0].f32() + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    kernels_.rms_norm_dw(a.out[0].f32(), a.in[0].f32(), a.in[1].f32(), a.in[0].rows(), a.in[0].last(), eps_, begin,
                         end);
  }

 private:
  const CpuKernels& kernels_;
  float eps_;
};

// The same for layer_norm. Of weights of heads, items are those of all heads.
class LayerNormDwStep final : public StepKernel {
 public:
  LayerNormDwStep(const CpuKernels& kernels, const Node& node)
      : kernels_(kernels), eps_(static_cast<float>(node.attributes.number("eps"))) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].elements(); }
  int64_t grain(const StepArgs&) const override { return 256; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    std::memset(a.out[0].f32() + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    const int64_t dim = a.out[0].last();
    const int64_t n_heads = a.out[0].rows();
    const int64_t rows = a.in[0].rows() / n_heads;
    for (int64_t head = begin / dim; head * dim < end; ++head) {
      const int64_t at = head * dim;
      kernels_.layer_norm_dw(a.out[0].f32() + at, a.in[0].f32() + at, a.in[1].f32() + at, rows, n_heads * dim, dim,
                             eps_, std::max<int64_t>(0, begin - at), std::min(dim, end - at));
    }
  }

 private:
  const CpuKernels& kernels_;
  float eps_;
};

}  // namespace

std::unique_ptr<StepKernel> make_norm_step(const StepContext& c, const Node& node) {
  if (node.op->name == "rms_norm_dw") return std::make_unique<RmsNormDwStep>(c.kernels, node);
  if (node.op->name == "layer_norm_dw") return std::make_unique<LayerNormDwStep>(c.kernels, node);
  return std::make_unique<NormStep>(c.kernels, node);
}

}  // namespace strata
