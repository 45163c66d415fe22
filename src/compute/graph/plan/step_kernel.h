// One step of a plan: an op bound to kernels of one instruction set, with its constants. Immutable; the operands of a
// run come from the execution context. Work is split in items that any worker may take in any order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "compute/graph/batch.h"
#include "compute/graph/dim.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

class Communicator;

struct Operand {
  void* data = nullptr;
  DType dtype = DType::kF32;
  std::array<int64_t, 4> dims{1, 1, 1, 1};  // of this run
  int rank = 0;

  int64_t last() const { return dims[static_cast<size_t>(rank) - 1]; }
  int64_t leading() const { return dims[0]; }
  int64_t rows() const {
    int64_t product = 1;
    for (int i = 0; i + 1 < rank; ++i) product *= dims[static_cast<size_t>(i)];
    return product;
  }
  int64_t elements() const { return rows() * last(); }
  float* f32() const { return static_cast<float*>(data); }
  const int32_t* i32() const { return static_cast<const int32_t*>(data); }
};

inline constexpr int kMaxOperands = 7;

struct StepArgs {
  std::array<Operand, kMaxOperands> in;
  std::array<Operand, kMaxOperands> out;
  const Batch* batch = nullptr;
  Communicator* communicator = nullptr;
};

class StepKernel {
 public:
  virtual ~StepKernel() = default;
  // Pieces of work in this run; asked once, when everything before the step is done.
  virtual int64_t items(const StepArgs& args) const = 0;
  // Items of a unit, the least that a worker takes at a time: some microseconds of work.
  virtual int64_t grain(const StepArgs&) const { return 1; }
  // All items together take a few microseconds: one worker computes them sooner than several could share them.
  virtual bool is_brief(const StepArgs&) const { return false; }
  // Bytes that each worker needs beside its operands.
  virtual size_t workspace_bytes() const { return 0; }
  virtual void run(const StepArgs& args, int64_t begin, int64_t end, void* workspace) const = 0;
};

inline constexpr int64_t kBriefNumbers = 8192;  // that a row-wise step writes in a microsecond or two

// A row-wise step: items are rows of the leading dimension, and its rows may be computed inside a chain.
class RowKernel : public StepKernel {
 public:
  int64_t items(const StepArgs& args) const override { return args.out[0].leading(); }
  int64_t grain(const StepArgs& args) const override;
  bool is_brief(const StepArgs& args) const override;
};

}  // namespace strata
