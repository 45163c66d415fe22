#include "learn/train/optimizer.h"

#include <array>
#include <cmath>

namespace strata {
namespace {

constexpr std::array<std::pair<std::string_view, OptimizerKind>, 3> kNames = {
    {{"adamw", OptimizerKind::kAdamW}, {"sgd", OptimizerKind::kSgd}, {"lion", OptimizerKind::kLion}}};

void adamw(const OptimizerOptions& o, int64_t step, float keep, double learning_rate, float scale,
           const UpdatePiece& p) {
  const auto beta1 = static_cast<float>(o.beta1), beta2 = static_cast<float>(o.beta2);
  const auto rate = static_cast<float>(learning_rate / (1 - std::pow(o.beta1, static_cast<double>(step))));
  const auto root = static_cast<float>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(step))));
  const auto epsilon = static_cast<float>(o.epsilon);
  for (size_t i = 0; i < p.values.size(); ++i) {
    const float g = p.gradient[i] * scale;
    const float m = p.memory[0][i] = p.memory[0][i] * beta1 + g * (1 - beta1);
    const float v = p.memory[1][i] = p.memory[1][i] * beta2 + g * g * (1 - beta2);
    p.values[i] = p.values[i] * keep - rate * m / (std::sqrt(v) * root + epsilon);
  }
}

void sgd(const OptimizerOptions& o, float keep, float rate, float scale, const UpdatePiece& p) {
  const auto momentum = static_cast<float>(o.beta1);
  for (size_t i = 0; i < p.values.size(); ++i) {
    const float m = p.memory[0][i] = p.memory[0][i] * momentum + p.gradient[i] * scale;
    p.values[i] = p.values[i] * keep - rate * m;
  }
}

void lion(const OptimizerOptions& o, float keep, float rate, float scale, const UpdatePiece& p) {
  const auto beta1 = static_cast<float>(o.beta1), beta2 = static_cast<float>(o.beta2);
  for (size_t i = 0; i < p.values.size(); ++i) {
    const float g = p.gradient[i] * scale;
    const float direction = p.memory[0][i] * beta1 + g * (1 - beta1);
    const float sign = direction > 0 ? 1.0F : direction < 0 ? -1.0F : 0.0F;
    p.memory[0][i] = p.memory[0][i] * beta2 + g * (1 - beta2);
    p.values[i] = p.values[i] * keep - rate * sign;
  }
}

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

void update(const OptimizerOptions& options, int64_t step, double learning_rate, double gradient_scale,
            const UpdatePiece& piece) {
  const auto keep = static_cast<float>(piece.decays ? 1 - learning_rate * options.weight_decay : 1.0);
  const auto rate = static_cast<float>(learning_rate), scale = static_cast<float>(gradient_scale);
  switch (options.kind) {
    case OptimizerKind::kAdamW:
      return adamw(options, step, keep, learning_rate, scale, piece);
    case OptimizerKind::kSgd:
      return sgd(options, keep, rate, scale, piece);
    case OptimizerKind::kLion:
      return lion(options, keep, rate, scale, piece);
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
