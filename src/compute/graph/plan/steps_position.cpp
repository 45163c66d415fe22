// Steps that look at token ids and positions: embedding look-up, its gradient, rotary embedding.
#include <cstring>
#include <vector>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {
namespace {

class EmbedStep final : public RowKernel {
 public:
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.out[0].last();
    const size_t stride = row_bytes(a.in[0].dtype, dim);
    for (int64_t t = begin; t < end; ++t) {
      const auto* row = static_cast<const std::byte*>(a.in[0].data) + static_cast<size_t>(a.in[1].i32()[t]) * stride;
      dequantize_row(a.in[0].dtype, row, a.out[0].f32() + t * dim, dim);
    }
  }
};

// Items are rows of the table's gradient.
class EmbedGradStep final : public StepKernel {
 public:
  explicit EmbedGradStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].leading(); }
  int64_t grain(const StepArgs& a) const override { return a.out[0].leading() / 8 + 1; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t dim = a.out[0].last();
    std::memset(a.out[0].f32() + begin * dim, 0, static_cast<size_t>((end - begin) * dim) * sizeof(float));
    kernels_.embed_grad(a.out[0].f32(), a.in[0].f32(), a.in[1].i32(), a.in[1].leading(), dim,
                        static_cast<int32_t>(begin), static_cast<int32_t>(end));
  }

 private:
  const CpuKernels& kernels_;
};

class RopeStep final : public RowKernel {
 public:
  RopeStep(const CpuKernels& kernels, const Node& node) : kernels_(kernels) {
    const Attributes& a = node.attributes;
    for (const double f : a.numbers("inv_freq")) inv_freq_.push_back(static_cast<float>(f));
    if (a.has("long_inv_freq")) {
      for (const double f : a.numbers("long_inv_freq")) long_inv_freq_.push_back(static_cast<float>(f));
    }
    form_.rotary_dim = static_cast<int>(inv_freq_.size()) * 2;
    form_.rotary_offset = static_cast<int>(a.integer("offset"));
    form_.interleaved = a.integer("interleaved") != 0;
    form_.inverse = a.integer("inverse") != 0;
    form_.magnitude = static_cast<float>(a.number("magnitude", 1));
    form_.inv_freq = inv_freq_.data();
    form_.long_inv_freq = long_inv_freq_.data();
  }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    RopeArgs args = form_;
    args.x = a.out[0].f32();
    args.n_heads = static_cast<int>(a.out[0].dims[1]);
    args.head_dim = static_cast<int>(a.out[0].dims[2]);
    args.row_stride = a.out[0].dims[1] * a.out[0].dims[2];
    args.positions = a.in[1].i32();
    args.long_rows = long_inv_freq_.empty() ? nullptr : a.in[2].i32();
    const auto row = static_cast<size_t>(args.row_stride);
    if (a.in[0].data != a.out[0].data) {
      std::memcpy(args.x + static_cast<size_t>(begin) * row, a.in[0].f32() + static_cast<size_t>(begin) * row,
                  static_cast<size_t>(end - begin) * row * sizeof(float));
    }
    kernels_.rope(args, begin, end);
  }

 private:
  const CpuKernels& kernels_;
  std::vector<float> inv_freq_;
  std::vector<float> long_inv_freq_;
  RopeArgs form_;
};

}  // namespace

std::unique_ptr<StepKernel> make_position_step(const StepContext& c, const Node& node) {
  if (node.op->name == "embed") return std::make_unique<EmbedStep>();
  if (node.op->name == "embed_grad") return std::make_unique<EmbedGradStep>(c.kernels);
  return std::make_unique<RopeStep>(c.kernels, node);
}

}  // namespace strata
