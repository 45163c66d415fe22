// One row for each sequence: its first row, its last, or the mean of all, summed in their order.
#include <cstring>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class PoolStep final : public StepKernel {
 public:
  explicit PoolStep(const Node& node)
      : mean_(node.attributes.text("rule") == "mean"), last_(node.attributes.text("rule") == "last") {}
  int64_t items(const StepArgs& a) const override { return a.out[0].leading(); }
  int64_t grain(const StepArgs& a) const override { return 1 + items(a) / 64; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.out[0].last();
    for (int64_t s = begin; s < end; ++s) {
      const int64_t first = a.batch->query_begin[static_cast<size_t>(s)];
      const int64_t n = a.batch->query_begin[static_cast<size_t>(s) + 1] - first;
      const float* x = a.in[0].f32() + first * dim;
      float* y = a.out[0].f32() + s * dim;
      std::memcpy(y, last_ ? x + (n - 1) * dim : x, static_cast<size_t>(dim) * sizeof(float));
      if (mean_) finish_mean(x, n, dim, y);
    }
  }

 private:
  // y holds the first row.
  static void finish_mean(const float* x, int64_t n, int64_t dim, float* y) {
    for (int64_t t = 1; t < n; ++t) {
      for (int64_t j = 0; j < dim; ++j) y[j] += x[t * dim + j];
    }
    for (int64_t j = 0; j < dim; ++j) y[j] /= static_cast<float>(n);
  }

  bool mean_;
  bool last_;
};

// Items are sequences: each writes the gradient of its tokens.
class PoolGradStep final : public StepKernel {
 public:
  explicit PoolGradStep(const Node& node)
      : mean_(node.attributes.text("rule") == "mean"), last_(node.attributes.text("rule") == "last") {}
  int64_t items(const StepArgs& a) const override { return a.in[0].leading(); }
  int64_t grain(const StepArgs& a) const override { return 1 + items(a) / 64; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.out[0].last();
    for (int64_t s = begin; s < end; ++s) {
      const int64_t first = a.batch->query_begin[static_cast<size_t>(s)];
      const int64_t n = a.batch->query_begin[static_cast<size_t>(s) + 1] - first;
      const float* dy = a.in[0].f32() + s * dim;
      for (int64_t t = 0; t < n; ++t) {
        float* dx = a.out[0].f32() + (first + t) * dim;
        const bool gets = mean_ || t == (last_ ? n - 1 : 0);
        for (int64_t j = 0; j < dim; ++j) dx[j] = gets ? (mean_ ? dy[j] / static_cast<float>(n) : dy[j]) : 0.0F;
      }
    }
  }

 private:
  bool mean_;
  bool last_;
};

}  // namespace

std::unique_ptr<StepKernel> make_pool_step(const StepContext&, const Node& node) {
  if (node.op->name == "pool_grad") return std::make_unique<PoolGradStep>(node);
  return std::make_unique<PoolStep>(node);
}

}  // namespace strata
