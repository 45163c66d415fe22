// Steps of low-rank adapters. What they multiply by comes with the batch: rows whose adapter is the same one after the
// other go to the kernels together, which changes no bit.
#include <algorithm>
#include <cstring>

#include "compute/graph/adapter_weights.h"
#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

constexpr int64_t kSharedRows = 8;  // of an item, where rows share adapters

class AdapterStep : public StepKernel {
 public:
  bool is_brief(const StepArgs& a) const override { return items(a) == 0; }

 protected:
  AdapterStep(const StepContext& c, const Node& node)
      : kernels_(c.kernels), of_outputs_(c.input(node, 0).shape[0] == Dim::outputs()) {}

  // f(adapter, first row, rows) for rows [begin, end), those without an adapter left out.
  template <class F>
  void for_runs(const Batch& batch, int64_t begin, int64_t end, const F& f) const {
    for (int64_t row = begin; row < end;) {
      const int32_t slot = slot_of(batch, row);
      int64_t last = row + 1;
      while (last < end && slot_of(batch, last) == slot) ++last;
      if (slot >= 0) f(*batch.adapter_weights[static_cast<size_t>(slot)], row, last - row);
      row = last;
    }
  }

  // Rows of an item. One that is alone with its adapter takes a longer piece of it instead: memory gives long pieces
  // faster.
  static int64_t rows_of_item(const StepArgs& a) {
    return static_cast<int64_t>(a.batch->adapter_weights.size()) * 2 > a.out[0].leading() ? 1 : kSharedRows;
  }
  static int64_t row_blocks(const StepArgs& a) {
    return (a.out[0].leading() + rows_of_item(a) - 1) / rows_of_item(a);
  }

  const CpuKernels& kernels_;

 private:
  int32_t slot_of(const Batch& batch, int64_t row) const {
    const int64_t token = of_outputs_ ? batch.output_rows[static_cast<size_t>(row)] : row;
    return batch.adapters[static_cast<size_t>(token)];
  }
  bool of_outputs_;
};

// Items: blocks of rows, of first factors, and of groups of a factor's rows (all of them for a row alone).
class LoraDownStep final : public AdapterStep {
 public:
  LoraDownStep(const StepContext& c, const Node& node)
      : AdapterStep(c, node),
        first_(static_cast<size_t>(node.attributes.integer("first"))),
        count_(node.attributes.integer("count")),
        rank_(node.attributes.integer("rank")) {}

  int64_t items(const StepArgs& a) const override {
    return a.batch->adapters.empty() ? 0 : row_blocks(a) * count_ * pieces(a);
  }

  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t blocks = row_blocks(a), n_pieces = pieces(a), n_rows = rows_of_item(a);
    const int64_t ranks = n_pieces == 1 ? rank_ : kAdapterRows;  // of a piece
    const int64_t stride = count_ * rank_, k = a.in[0].last();
    for (int64_t item = begin; item < end; ++item) {
      const int64_t row = item % blocks * n_rows, number = item / blocks / n_pieces;
      const int64_t begin_rank = item / blocks % n_pieces * ranks;
      for_runs(*a.batch, row, std::min(row + n_rows, a.in[0].leading()),
               [&](const AdapterWeights& adapter, int64_t first, int64_t rows) {
                 const AdapterWeights::First& factor = adapter.first[first_ + static_cast<size_t>(number)];
                 const int64_t end_rank = std::min(begin_rank + ranks, factor.factor.rank);
                 if (begin_rank >= end_rank) return;
                 kernels_.lora_down(a.out[0].f32() + first * stride + number * rank_, stride,
                                    a.in[0].f32() + first * k, rows, factor.factor, factor.scale, begin_rank, end_rank);
               });
    }
  }

 private:
  // Groups of the largest of these factors in the batch, or one piece of all.
  int64_t pieces(const StepArgs& a) const {
    int64_t rank = 0;
    for (const AdapterWeights* adapter : a.batch->adapter_weights) {
      for (size_t i = 0; i < static_cast<size_t>(count_); ++i)
        rank = std::max(rank, adapter->first[first_ + i].factor.rank);
    }
    return rows_of_item(a) == 1 ? std::min<int64_t>(rank, 1) : (rank + kAdapterRows - 1) / kAdapterRows;
  }
  size_t first_;
  int64_t count_;
  int64_t rank_;
};

// Items: blocks of rows and of columns.
class LoraUpStep final : public AdapterStep {
 public:
  LoraUpStep(const StepContext& c, const Node& node)
      : AdapterStep(c, node),
        second_(static_cast<size_t>(node.attributes.integer("second"))),
        column_(node.attributes.integer("column")) {}

  int64_t items(const StepArgs& a) const override {
    const bool in_place = a.out[0].data == a.in[0].data;
    return in_place && !is_adapted(*a.batch) ? 0 : row_blocks(a) * column_blocks(a);
  }

  void run(const StepArgs& a, int64_t begin, int64_t end, void*) const override {
    const int64_t n = a.out[0].last(), stride = a.in[1].last();
    const int64_t n_rows = rows_of_item(a), n_columns = columns_of_item(a);
    for (int64_t item = begin; item < end; ++item) {
      const int64_t row = item % row_blocks(a) * n_rows, last = std::min(row + n_rows, a.out[0].leading());
      const int64_t column = item / row_blocks(a) * n_columns, last_column = std::min(column + n_columns, n);
      if (a.out[0].data != a.in[0].data) copy(a, row, last, column, last_column);
      if (a.batch->adapters.empty()) continue;
      for_runs(*a.batch, row, last, [&](const AdapterWeights& adapter, int64_t first, int64_t rows) {
        const AdapterFactor& factor = adapter.second[second_];
        if (factor.rank == 0) return;
        kernels_.lora_up(a.out[0].f32() + first * n, a.in[1].f32() + first * stride + column_, stride, rows, factor,
                         column, last_column);
      });
    }
  }

 private:
  static int64_t columns_of_item(const StepArgs& a) { return (rows_of_item(a) == 1 ? 32 : 8) * kAdapterColumns; }
  static int64_t column_blocks(const StepArgs& a) {
    return (a.out[0].last() + columns_of_item(a) - 1) / columns_of_item(a);
  }
  bool is_adapted(const Batch& batch) const {
    return std::any_of(batch.adapter_weights.begin(), batch.adapter_weights.end(),
                       [&](const AdapterWeights* adapter) { return adapter->second[second_].rank > 0; });
  }
  static void copy(const StepArgs& a, int64_t row, int64_t last, int64_t column, int64_t last_column) {
    const int64_t n = a.out[0].last();
    for (; row < last; ++row) {
      std::memcpy(a.out[0].f32() + row * n + column, a.in[0].f32() + row * n + column,
                  static_cast<size_t>(last_column - column) * sizeof(float));
    }
  }
  size_t second_;
  int64_t column_;
};

}  // namespace

std::unique_ptr<StepKernel> make_adapter_step(const StepContext& c, const Node& node) {
  if (node.op->name == "lora_down") return std::make_unique<LoraDownStep>(c, node);
  return std::make_unique<LoraUpStep>(c, node);
}

}  // namespace strata
