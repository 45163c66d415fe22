// Optimizers: how a step changes the numbers of a parameter. Each is a pure function of the numbers, their gradients
// and the optimizer's memory, number by number: any split of a parameter and every kernel table gives the same bits.
// Weight decay is decoupled (https://arxiv.org/abs/1711.05101) in all of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

enum class OptimizerKind : uint8_t {
  kAdamW,  // https://arxiv.org/abs/1711.05101
  kSgd,    // with momentum
  kLion,   // https://arxiv.org/abs/2302.06675
};
enum class DecayRule : uint8_t {
  kMatrices,  // weights of two and more dimensions: no norms, no biases
  kAll,
};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double beta1 = 0.9;     // of AdamW and Lion; the momentum of SGD
  double beta2 = 0.95;    // of AdamW; Lion's second, for which 0.99 is usual
  double epsilon = 1e-8;  // of AdamW
  double weight_decay = 0.1;
  DecayRule decays = DecayRule::kMatrices;
};

Result<OptimizerKind> optimizer_from_name(std::string_view name);  // adamw, sgd, lion
std::string_view name(OptimizerKind kind);

// Numbers that the optimizer remembers for each number of a parameter.
int memory_of(OptimizerKind kind);
bool decays(const OptimizerOptions& options, std::span<const int64_t> shape);

// A piece of a parameter. All spans have one length; memory[1] is used where memory_of() says 2.
struct UpdatePiece {
  std::span<float> values;
  std::span<const float> gradient;
  std::span<float> memory[2];
  bool decays = true;
};
// `step` counts from 1; gradients are multiplied by gradient_scale (clipping) first.
void update(const CpuKernels& kernels, const OptimizerOptions& options, int64_t step, double learning_rate,
            double gradient_scale, const UpdatePiece& piece);

// The factor that brings a gradient of this norm to at most max_norm; 1 when max_norm is 0: no clipping.
double clip_factor(double norm, double max_norm);

// average = decay * average + (1 - decay) * values: the exponential moving average of the weights.
void update_average(std::span<float> average, std::span<const float> values, double decay);

}  // namespace strata
