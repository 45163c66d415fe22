// What the steps of a head with its loss have in common: logits of some rows by some of the vocabulary, which are in a
// worker's own memory and nowhere else.
#pragma once

#include "compute/graph/plan/steps.h"

namespace strata {

// What the sum of the losses is divided by.
double loss_divisor(const Batch& batch);
float gradient_scale(const Batch& batch);
// Which part of the step's tokens this batch has: 1 where it is the step.
double part_of_step(const Batch& batch);
const float* weights_of(const Batch& batch);  // null: all 1

class HeadStep : public StepKernel {
 protected:
  // What a worker has for a block: logits, what tanh gets, rows in the form that the weights ask for.
  struct Room {
    float* z;
    float* inner;
    void* rows;
  };

  HeadStep(const StepContext& c, const Node& node);

  static constexpr int64_t kColumnRows = 256;  // of x, for a block of the vocabulary

  // Of x, for the whole vocabulary: their logits are 8 MiB or less where that is 16 rows.
  int64_t rows_of_block() const;
  // Rows of x in the form that the weights ask for: in `room`, activation_bytes(rows), or as they are.
  const void* in_form(const float* x, int64_t rows, void* room) const;
  size_t activation_bytes(int64_t rows) const;
  // z [rows, n] = the logits of x by vocabulary [first, first + n), first a multiple of kPackRows. `x`: rows in the
  // form that the weights ask for. `inner` [rows, n] is what tanh gets, where the head bends.
  void logits(float* z, float* inner, const void* x, const void* packed, const float* bias, int64_t rows, int64_t first,
              int64_t n) const;
  // From the gradient by z to that by x w^T + bias, in place.
  void to_inner(float* dz, const float* inner, int64_t count) const;
  // Room for `rows` rows by n of the vocabulary.
  size_t room_bytes(int64_t rows, int64_t n) const;
  Room room_in(void* workspace, int64_t rows, int64_t n) const;

  const CpuKernels& kernels_;
  const MatmulFamily& family_;
  const int64_t vocab_;
  const int64_t hidden_;

 private:
  float scale_;
  float bend_;
};

// Items are blocks of rows of in[0], by the whole vocabulary.
class HeadRowsStep : public HeadStep {
 public:
  int64_t items(const StepArgs& a) const final;
  size_t workspace_bytes() const final { return room_bytes(rows_of_block(), vocab_); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const final;

 protected:
  using HeadStep::HeadStep;
  // Rows [first, first + rows).
  virtual void block(const StepArgs& a, int64_t first, int64_t rows, const Room& room) const = 0;
};

// Items are blocks of the vocabulary, by all rows, kColumnRows at a time: rows of the gradient of w.
class HeadColumnsStep : public HeadStep {
 public:
  int64_t items(const StepArgs& a) const final;
  size_t workspace_bytes() const final { return room_bytes(kColumnRows, kPackRows); }
  void run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const final;

 protected:
  using HeadStep::HeadStep;
  // Vocabulary [first, first + n).
  virtual void block(const StepArgs& a, int64_t first, int64_t n, const Room& room) const = 0;
};

}  // namespace strata
