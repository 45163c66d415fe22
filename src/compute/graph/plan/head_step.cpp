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

HeadStep::HeadStep(const StepContext& c, const Node& node, size_t n_inputs)
    : kernels_(c.kernels),
      family_(family_for(c.kernels, c.input(node, 1).dtype, c.input(node, 1).last().factor)),
      vocab_(c.input(node, 1).shape[0].factor),
      hidden_(c.input(node, 1).last().factor),
      scale_(static_cast<float>(node.attributes.number("scale", 1))),
      bend_(static_cast<float>(node.attributes.number("bend"))),
      is_rounded_(c.input(node, 0).dtype == DType::kActBF16) {
  for (size_t i = n_inputs; i < node.inputs.size(); ++i)
    (c.input(node, i).shape.size() == 1 ? bias_at_ : rows_at_) = i;
}

int64_t HeadStep::rows_of_block() const {
  constexpr int64_t kBlockNumbers = int64_t{1} << 21;
  return std::clamp<int64_t>(kBlockNumbers / vocab_ / 16 * 16, 16, 64);
}

size_t HeadStep::activation_bytes(int64_t rows) const {
  return family_.activation == DType::kF32 ? 0 : static_cast<size_t>(rows) * row_bytes(family_.activation, hidden_);
}

const void* HeadStep::in_form(const StepArgs& a, int64_t first, int64_t rows, void* room) const {
  const DType form = a.in[0].dtype;
  const auto* x = static_cast<const std::byte*>(a.in[0].data) + static_cast<size_t>(first) * row_bytes(form, hidden_);
  if (form == family_.activation) return x;
  kernels_.to_activation(family_.activation, room, reinterpret_cast<const float*>(x), rows, hidden_);
  return room;
}

void HeadStep::logits(const StepArgs& a, const Room& room, const void* x, int64_t rows, int64_t first,
                      int64_t n) const {
  float* z = room.z;
  MatmulArgs m;
  m.x = x;
  m.y = z;
  m.y_stride = n;
  m.packed = static_cast<const std::byte*>(a.in[1].data) + (first == 0 ? 0 : family_.packed_bytes(first, hidden_));
  m.rows = rows;
  m.n = n;
  m.k = hidden_;
  family_.run(m, 0, family_.tiles(m));
  if (has_bias()) kernels_.add_bias(z, z, a.in[bias_at_].f32() + first, rows, n);
  if (scale_ != 1) kernels_.scale(z, z, scale_, rows * n);
  if (bend_ == 0) return;
  std::memcpy(room.inner, z, static_cast<size_t>(rows * n) * sizeof(float));
  kernels_.activate(Activation::kTanh, z, z, rows * n);
  kernels_.scale(z, z, bend_, rows * n);
}

void HeadStep::to_inner(const Room& room, int64_t at, int64_t count) const {
  float* dz = room.z + at;
  if (bend_ != 0) {
    kernels_.activate_grad(Activation::kTanh, dz, dz, room.inner + at, count);
    kernels_.scale(dz, dz, bend_, count);
  }
  if (scale_ != 1) kernels_.scale(dz, dz, scale_, count);
  if (!is_rounded_) return;
  auto* to = static_cast<std::byte*>(room.rounded) + row_bytes(DType::kActBF16, at);
  kernels_.to_activation(DType::kActBF16, to, dz, 1, count);
}

void HeadStep::to_dx(const StepArgs& a, const Room& room, float* dx, int64_t rows) const {
  if (is_rounded_) {
    kernels_.matmul_dx_bfloat(dx, room.rounded, a.in[rows_at_].data, vocab_, hidden_, 0, rows, 0, hidden_);
  } else if (rows_at_ > 0) {
    kernels_.matmul_dx(dx, room.z, nullptr, a.in[rows_at_].data, vocab_, hidden_, 0, rows, 0, hidden_);
  } else {
    kernels_.matmul_dx(dx, room.z, &family_, a.in[1].data, vocab_, hidden_, 0, rows, 0, hidden_);
  }
}

void HeadStep::add_dw(const StepArgs& a, const Room& room, int64_t row, int64_t rows, int64_t n, float* dw,
                      float* db) const {
  if (is_rounded_) {
    const auto* x = static_cast<const std::byte*>(a.in[0].data) + row_bytes(DType::kActBF16, row * hidden_);
    kernels_.matmul_dw_bfloat(dw, room.rounded, x, rows, n, hidden_, 0, n, 0, hidden_);
  } else {
    kernels_.matmul_dw(dw, room.z, a.in[0].f32() + row * hidden_, rows, n, hidden_, 0, n, 0, hidden_);
  }
  if (db != nullptr) kernels_.add_bias_grad(db, room.z, rows, n, 0, n);
}

size_t HeadStep::room_bytes(int64_t rows, int64_t n) const {
  const size_t numbers = static_cast<size_t>(rows * n) * sizeof(float) * (bend_ != 0 ? 2 : 1);
  return numbers + activation_bytes(rows) + (is_rounded_ ? row_bytes(DType::kActBF16, rows * n) : 0);
}

HeadStep::Room HeadStep::room_in(void* workspace, int64_t rows, int64_t n) const {
  auto* z = static_cast<float*>(workspace);
  float* inner = z + rows * n;
  auto* beside = reinterpret_cast<std::byte*>(bend_ != 0 ? inner + rows * n : inner);
  return {z, inner, beside, beside + activation_bytes(rows)};
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
