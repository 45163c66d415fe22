// Steps of matrix products and of the conversion of activations.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class MatmulStep final : public StepKernel {
 public:
  MatmulStep(const StepContext& c, const Node& node)
      : family_(family_for(c.kernels, c.input(node, 1).dtype, c.input(node, 1).last().factor)) {}
  int64_t items(const StepArgs& a) const override { return family_.tiles(args(a)); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override { family_.run(args(a), begin, end); }

 private:
  static MatmulArgs args(const StepArgs& a) {
    MatmulArgs m;
    m.x = a.in[0].data;
    m.y = a.out[0].f32();
    m.y_stride = a.out[0].last();
    m.packed = a.in[1].data;
    m.rows = a.out[0].rows();
    m.n = a.out[0].last();
    m.k = a.in[0].last();
    return m;
  }
  const MatmulFamily& family_;
};

// A matrix of results in tiles, those of one range of rows after each other.
struct GradientTiles {
  int64_t rows, columns;            // of the matrix
  int64_t tile_rows, tile_columns;  // of a tile
  struct Tile {
    int64_t row, row_end, column, column_end;
  };
  int64_t row_tiles() const { return (rows + tile_rows - 1) / tile_rows; }
  int64_t column_tiles() const { return (columns + tile_columns - 1) / tile_columns; }
  int64_t count() const { return row_tiles() * column_tiles(); }
  Tile tile(int64_t i) const {
    const int64_t row = i / column_tiles() * tile_rows, column = i % column_tiles() * tile_columns;
    return {row, std::min(rows, row + tile_rows), column, std::min(columns, column + tile_columns)};
  }
};

// Equal ranges of at most `most`, each a multiple of `step`.
int64_t even_tile(int64_t n, int64_t most, int64_t step) {
  const int64_t tiles = (n + most - 1) / most;
  return std::max(step, ((n + tiles - 1) / std::max<int64_t>(1, tiles) + step - 1) / step * step);
}

// Tiles of columns of w by many rows, for which it is unpacked.
class MatmulDxStep final : public StepKernel {
 public:
  MatmulDxStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels),
        family_(weight_form(c.graph, node, 1) == WeightForm::kPacked
                    ? &family_for(c.kernels, c.input(node, 1).dtype, c.input(node, 1).last().factor)
                    : nullptr) {}
  int64_t items(const StepArgs& a) const override { return tiles(a).count(); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    for (int64_t i = begin; i < end; ++i) {
      const GradientTiles::Tile t = tiles(a).tile(i);
      const int64_t n = a.in[0].last(), k = a.out[0].last();
      if (a.in[0].dtype == DType::kActBF16) {
        CHECK(a.in[1].dtype == DType::kBF16);  // the pass in_bfloat16 leaves others alone
        kernels_.matmul_dx_bfloat(a.out[0].f32(), a.in[0].data, a.in[1].data, n, k, t.row, t.row_end, t.column,
                                  t.column_end);
      } else {
        kernels_.matmul_dx(a.out[0].f32(), a.in[0].f32(), family_, a.in[1].data, n, k, t.row, t.row_end, t.column,
                           t.column_end);
      }
    }
  }

 private:
  GradientTiles tiles(const StepArgs& a) const {
    const int64_t rows = a.out[0].rows(), k = a.out[0].last();
    return {rows, k, family_ == nullptr ? even_tile(rows, 264, 12) : even_tile(rows, 512, 128), 256};
  }
  const CpuKernels& kernels_;
  const MatmulFamily* family_;
};

// Tiles of the weight's gradient.
class MatmulDwStep final : public StepKernel {
 public:
  explicit MatmulDwStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return tiles(a).count(); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t k = a.out[0].last();
    for (int64_t i = begin; i < end; ++i) {
      const GradientTiles::Tile t = tiles(a).tile(i);
      for (int64_t row = t.row; row < t.row_end; ++row)
        std::fill(a.out[0].f32() + row * k + t.column, a.out[0].f32() + row * k + t.column_end, 0.0F);
      const int64_t rows = a.in[0].rows(), n = a.out[0].leading();
      if (a.in[0].dtype == DType::kActBF16) {
        kernels_.matmul_dw_bfloat(a.out[0].f32(), a.in[0].data, a.in[1].data, rows, n, k, t.row, t.row_end, t.column,
                                  t.column_end);
      } else {
        kernels_.matmul_dw(a.out[0].f32(), a.in[0].f32(), a.in[1].f32(), rows, n, k, t.row, t.row_end, t.column,
                           t.column_end);
      }
    }
  }

 private:
  static GradientTiles tiles(const StepArgs& a) {
    const int64_t n = a.out[0].leading(), k = a.out[0].last();
    return {n, k, even_tile(n, 132, 12), even_tile(k, 256, 64)};
  }
  const CpuKernels& kernels_;
};

class HeadMatmulStep final : public RowKernel {
 public:
  explicit HeadMatmulStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t grain(const StepArgs&) const override { return 16; }
  bool is_brief(const StepArgs&) const override { return false; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    kernels_.head_matmul(a.out[0].f32(), a.in[0].f32(), a.in[1].f32(), static_cast<int>(a.in[1].dims[0]),
                         a.in[1].dims[1], a.in[1].dims[2], begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

class HeadMatmulDxStep final : public RowKernel {
 public:
  explicit HeadMatmulDxStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t grain(const StepArgs&) const override { return 16; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    kernels_.head_matmul_dx(a.out[0].f32(), a.in[0].f32(), a.in[1].f32(), static_cast<int>(a.in[1].dims[0]),
                            a.in[1].dims[1], a.in[1].dims[2], begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

// Items are rows of all heads' gradients.
class HeadMatmulDwStep final : public StepKernel {
 public:
  explicit HeadMatmulDwStep(const CpuKernels& kernels) : kernels_(kernels) {}
  int64_t items(const StepArgs& a) const override { return a.out[0].rows(); }
  int64_t grain(const StepArgs&) const override { return 16; }
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t k = a.out[0].last();
    std::memset(a.out[0].f32() + begin * k, 0, static_cast<size_t>((end - begin) * k) * sizeof(float));
    kernels_.head_matmul_dw(a.out[0].f32(), a.in[0].f32(), a.in[1].f32(), a.in[0].leading(),
                            static_cast<int>(a.out[0].dims[0]), a.out[0].dims[1], k, begin, end);
  }

 private:
  const CpuKernels& kernels_;
};

class ToActivationStep final : public RowKernel {
 public:
  explicit ToActivationStep(const CpuKernels& kernels) : kernels_(kernels) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t k = a.in[0].last();
    const int64_t per_item = a.in[0].rows() / a.in[0].leading();
    auto* out =
        static_cast<std::byte*>(a.out[0].data) + static_cast<size_t>(begin * per_item) * row_bytes(a.out[0].dtype, k);
    kernels_.to_activation(a.out[0].dtype, out, a.in[0].f32() + begin * per_item * k, (end - begin) * per_item, k);
  }

 private:
  const CpuKernels& kernels_;
};

class FromActivationStep final : public RowKernel {
 public:
  explicit FromActivationStep(const CpuKernels& kernels) : kernels_(kernels) {}
  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t width = a.out[0].elements() / a.out[0].leading();
    const auto* from = static_cast<const std::byte*>(a.in[0].data) + row_bytes(a.in[0].dtype, begin * width);
    kernels_.from_activation(a.out[0].f32() + begin * width, from, (end - begin) * width);
  }

 private:
  const CpuKernels& kernels_;
};

}  // namespace

std::unique_ptr<StepKernel> make_matmul_step(const StepContext& c, const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "matmul") return std::make_unique<MatmulStep>(c, node);
  if (op == "matmul_dx") return std::make_unique<MatmulDxStep>(c, node);
  if (op == "matmul_dw") return std::make_unique<MatmulDwStep>(c.kernels);
  if (op == "head_matmul") return std::make_unique<HeadMatmulStep>(c.kernels);
  if (op == "head_matmul_dx") return std::make_unique<HeadMatmulDxStep>(c.kernels);
  if (op == "head_matmul_dw") return std::make_unique<HeadMatmulDwStep>(c.kernels);
  if (op == "from_activation") return std::make_unique<FromActivationStep>(c.kernels);
  return std::make_unique<ToActivationStep>(c.kernels);
}

}  // namespace strata
