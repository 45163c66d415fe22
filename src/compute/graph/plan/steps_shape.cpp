// Steps that move numbers.
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

constexpr size_t kFloat = sizeof(float);

class SliceStep final : public RowKernel {
 public:
  SliceStep(const Node& node, bool grad) : begin_(node.attributes.integer("begin")), grad_(grad) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t per_item = a.out[0].rows() / a.out[0].leading();
    const int64_t in_dim = a.in[0].last();
    const int64_t out_dim = a.out[0].last();
    for (int64_t row = begin * per_item; row < end * per_item; ++row) {
      const float* x = a.in[0].f32() + row * in_dim;
      float* y = a.out[0].f32() + row * out_dim;
      if (grad_) {
        std::memset(y, 0, static_cast<size_t>(out_dim) * kFloat);
        std::memcpy(y + begin_, x, static_cast<size_t>(in_dim) * kFloat);
      } else {
        std::memcpy(y, x + begin_, static_cast<size_t>(out_dim) * kFloat);
      }
    }
  }

 private:
  int64_t begin_;
  bool grad_;
};

class ConcatStep final : public RowKernel {
 public:
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t per_item = a.out[0].rows() / a.out[0].leading();
    const int64_t left = a.in[0].last();
    const int64_t right = a.in[1].last();
    for (int64_t row = begin * per_item; row < end * per_item; ++row) {
      float* y = a.out[0].f32() + row * (left + right);
      std::memcpy(y, a.in[0].f32() + row * left, static_cast<size_t>(left) * kFloat);
      std::memcpy(y + left, a.in[1].f32() + row * right, static_cast<size_t>(right) * kFloat);
    }
  }
};

class GatherStep final : public StepKernel {
 public:
  int64_t items(const StepArgs& a) const override { return a.out[0].leading(); }
  int64_t grain(const StepArgs&) const override { return 16; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.out[0].last();
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(a.out[0].f32() + i * dim, a.in[0].f32() + a.in[1].i32()[i] * dim, static_cast<size_t>(dim) * kFloat);
    }
  }
};

// The gradient of a gather: zero, then rows added in ascending order. One item, because rows may repeat.
class ScatterStep final : public StepKernel {
 public:
  int64_t items(const StepArgs&) const override { return 1; }
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    const int64_t dim = a.out[0].last();
    std::memset(a.out[0].f32(), 0, static_cast<size_t>(a.out[0].elements()) * kFloat);
    for (int64_t i = 0; i < a.in[0].leading(); ++i) {
      float* row = a.out[0].f32() + a.in[1].i32()[i] * dim;
      for (int64_t j = 0; j < dim; ++j) row[j] += a.in[0].f32()[i * dim + j];
    }
  }
};

}  // namespace

std::unique_ptr<StepKernel> make_shape_step(const StepContext&, const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "slice" || op == "slice_grad") return std::make_unique<SliceStep>(node, op == "slice_grad");
  if (op == "concat") return std::make_unique<ConcatStep>();
  if (op == "gather_rows") return std::make_unique<GatherStep>();
  return std::make_unique<ScatterStep>();
}

}  // namespace strata
