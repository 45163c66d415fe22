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
  // What a worker has for a block: logits, what tanh gets, rows in the form that the weights ask for, and the gradient
  // by logits in bfloat16 where that is what is multiplied.
  struct Room {
    float* z;
    float* inner;
    void* rows;
    void* rounded;
  };

  // `n_inputs`: without what an op may have behind them: bias [vocab], and w again, whose rows give the gradient by x.
  HeadStep(const StepContext& c, const Node& node, size_t n_inputs);

  static constexpr int64_t kColumnRows = 256;  // of x, for a block of the vocabulary

  // Of x, for the whole vocabulary: their logits are 8 MiB or less where that is 16 rows.
  int64_t rows_of_block() const;
  // Rows of in[0] from `first` on in the form that the weights ask for: in `room`, or as they are.
  const void* in_form(const StepArgs& a, int64_t first, int64_t rows, void* room) const;
  // z [rows, n] = the logits of `x`, in that form, by vocabulary [first, first + n), first a multiple of kPackRows;
  // where the head bends, what tanh gets too.
  void logits(const StepArgs& a, const Room& room, const void* x, int64_t rows, int64_t first, int64_t n) const;
  // From the gradient by numbers [at, at + count) of z to that by x w^T + bias, in place, and rounded beside it where
  // that is what is multiplied.
  void to_inner(const Room& room, int64_t at, int64_t count) const;
  // The gradient by x of rows of the whole vocabulary, from what to_inner made.
  void to_dx(const StepArgs& a, const Room& room, float* dx, int64_t rows) const;
  // What rows [row, row + rows) of x and n of the vocabulary add to the gradients by w and bias (null: none).
  void add_dw(const StepArgs& a, const Room& room, int64_t row, int64_t rows, int64_t n, float* dw, float* db) const;
  bool has_bias() const { return bias_at_ > 0; }
  // Room for `rows` rows by n of the vocabulary.
  size_t room_bytes(int64_t rows, int64_t n) const;
  Room room_in(void* workspace, int64_t rows, int64_t n) const;

  const CpuKernels& kernels_;
  const MatmulFamily& family_;
  const int64_t vocab_;
  const int64_t hidden_;

 private:
  size_t activation_bytes(int64_t rows) const;

  float scale_;
  float bend_;
  bool is_rounded_;  // multiplies bfloat16 numbers, in all three products
  size_t bias_at_ = 0;  // among the inputs; 0: there is none
  size_t rows_at_ = 0;
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
