#include "learn/train/optimizer.h"

#include <array>
#include <cmath>

namespace strata {
namespace {

constexpr std::array<std::pair<std::string_view, OptimizerKind>, 3> kNames = {
    {{"adamw", OptimizerKind::kAdamW}, {"sgd", OptimizerKind::kSgd}, {"lion", OptimizerKind::kLion}}};

}  // namespace

Result<OptimizerKind> optimizer_from_name(std::string_view wanted) {
  for (const auto& [known, kind] : kNames) {
    if (known == wanted) return kind;
  }
  return invalid_argument("no optimizer named \"" + std::string(wanted) + "\" (known: adamw, sgd, lion)");
}

std::string_view name(OptimizerKind kind) {
  for (const auto& [known, value] : kNames) {
    if (value == kind) return known;
  }
  return {};
}

int memory_of(OptimizerKind kind) { return kind == OptimizerKind::kAdamW ? 2 : 1; }

bool decays(const OptimizerOptions& options, std::span<const int64_t> shape) {
  return options.decays == DecayRule::kAll || shape.size() > 1;
}

void update(const CpuKernels& kernels, const OptimizerOptions& options, int64_t step, double learning_rate,
            double gradient_scale, const UpdatePiece& piece) {
  const auto left_out = [&](double beta) { return 1 - std::pow(beta, static_cast<double>(step)); };
  OptimizerArgs args;
  args.values = piece.values.data();
  args.gradient = piece.gradient.data();
  args.first = piece.memory[0].data();
  args.second = piece.memory[1].data();
  args.n = static_cast<int64_t>(piece.values.size());
  args.scale = static_cast<float>(gradient_scale);
  args.keep = static_cast<float>(piece.decays ? 1 - learning_rate * options.weight_decay : 1.0);
  args.rate = static_cast<float>(learning_rate);
  args.beta1 = static_cast<float>(options.beta1);
  args.beta2 = static_cast<float>(options.beta2);
  switch (options.kind) {
    case OptimizerKind::kAdamW:
      args.rate = static_cast<float>(learning_rate / left_out(options.beta1));
      args.root = static_cast<float>(1 / std::sqrt(left_out(options.beta2)));
      args.epsilon = static_cast<float>(options.epsilon);
      return kernels.adamw(args);
    case OptimizerKind::kSgd:
      return kernels.sgd(args);
    case OptimizerKind::kLion:
      return kernels.lion(args);
  }
}

double clip_factor(double norm, double max_norm) {
  return max_norm > 0 && norm > max_norm ? max_norm / (norm + 1e-6) : 1.0;
}

void update_average(std::span<float> average, std::span<const float> values, double decay) {
  const auto keep = static_cast<float>(decay), take = static_cast<float>(1 - decay);
  for (size_t i = 0; i < average.size(); ++i) average[i] = average[i] * keep + values[i] * take;
}

}  // namespace strata
