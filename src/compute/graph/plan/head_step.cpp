#include "compute/graph/plan/head_step.h"

#include <algorithm>
#include <cstring>

#include "compute/graph/op.h"

namespace strata {

double loss_divisor(const Batch& batch) {
  if (batch.target_total > 0) return batch.target_total;
  double total = 0;
  for (size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i] >= 0) total += batch.target_weights.empty() ? 1.0 : batch.target_weights[i];
  }
  return total > 0 ? total : 1;
}

float gradient_scale(const Batch& batch) { return static_cast<float>(1 / loss_divisor(batch)); }

double part_of_step(const Batch& batch) {
  const double total = batch.token_total > 0 ? batch.token_total : batch.target_total;
  return total > 0 ? static_cast<double>(batch.tokens()) / total : 1;
}

const float* weights_of(const Batch& batch) {
  return batch.target_weights.empty() ? nullptr : batch.target_weights.data();
}

HeadStep::HeadStep(const StepContext& c, const Node& node)
    : kernels_(c.kernels),
      family_(family_for(c.kernels, c.input(node, 1).dtype, c.input(node, 1).last().factor)),
      vocab_(c.input(node, 1).shape[0].factor),
      hidden_(c.input(node, 1).last().factor),
      scale_(static_cast<float>(node.attributes.number("scale", 1))),
      bend_(static_cast<float>(node.attributes.number("bend"))) {}

int64_t HeadStep::rows_of_block() const {
  constexpr int64_t kBlockNumbers = int64_t{1} << 21;
  return std::clamp<int64_t>(kBlockNumbers / vocab_ / 16 * 16, 16, 64);
}

size_t HeadStep::activation_bytes(int64_t rows) const {
  return family_.activation == DType::kF32 ? 0 : static_cast<size_t>(rows) * row_bytes(family_.activation, hidden_);
}

const void* HeadStep::in_form(const float* x, int64_t rows, void* room) const {
  if (family_.activation == DType::kF32) return x;
  kernels_.to_activation(family_.activation, room, x, rows, hidden_);
  return room;
}

void HeadStep::logits(float* z, float* inner, const void* x, const void* packed, const float* bias, int64_t rows,
                      int64_t first, int64_t n) const {
  MatmulArgs m;
  m.x = x;
  m.y = z;
  m.y_stride = n;
  m.packed = static_cast<const std::byte*>(packed) + (first == 0 ? 0 : family_.packed_bytes(first, hidden_));
  m.rows = rows;
  m.n = n;
  m.k = hidden_;
  family_.run(m, 0, family_.tiles(m));
  if (bias != nullptr) kernels_.add_bias(z, z, bias + first, rows, n);
  if (scale_ != 1) kernels_.scale(z, z, scale_, rows * n);
  if (bend_ == 0) return;
  std::memcpy(inner, z, static_cast<size_t>(rows * n) * sizeof(float));
  kernels_.activate(Activation::kTanh, z, z, rows * n);
  kernels_.scale(z, z, bend_, rows * n);
}

void HeadStep::to_inner(float* dz, const float* inner, int64_t count) const {
  if (bend_ != 0) {
    kernels_.activate_grad(Activation::kTanh, dz, dz, inner, count);
    kernels_.scale(dz, dz, bend_, count);
  }
  if (scale_ != 1) kernels_.scale(dz, dz, scale_, count);
}

size_t HeadStep::room_bytes(int64_t rows, int64_t n) const {
  return static_cast<size_t>(rows * n) * sizeof(float) * (bend_ != 0 ? 2 : 1) + activation_bytes(rows);
}

HeadStep::Room HeadStep::room_in(void* workspace, int64_t rows, int64_t n) const {
  auto* z = static_cast<float*>(workspace);
  float* inner = z + rows * n;
  return {z, inner, bend_ != 0 ? inner + rows * n : inner};
}

int64_t HeadRowsStep::items(const StepArgs& a) const {
  return (a.in[0].leading() + rows_of_block() - 1) / rows_of_block();
}

void HeadRowsStep::run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const {
  const int64_t rows = rows_of_block();
  const Room room = room_in(workspace, rows, vocab_);
  for (int64_t first = begin * rows; first < end * rows; first += rows)
    block(a, first, std::min(rows, a.in[0].leading() - first), room);
}

int64_t HeadColumnsStep::items(const StepArgs&) const { return (vocab_ + kPackRows - 1) / kPackRows; }

void HeadColumnsStep::run(const StepArgs& a, int64_t begin, int64_t end, void* workspace) const {
  const Room room = room_in(workspace, kColumnRows, kPackRows);
  for (int64_t first = begin * kPackRows; first < end * kPackRows; first += kPackRows)
    block(a, first, std::min(kPackRows, vocab_ - first), room);
}

}  // namespace strata
