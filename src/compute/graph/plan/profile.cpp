#include "compute/graph/plan/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "compute/graph/matmul_nodes.h"

namespace strata {
namespace {

struct Work {
  double seconds = 0, ops = 0, bytes = 0;
};

bool is_product(const PlanStep& step) {
  return is_matmul(step) || step.op == "matmul_dx" || step.op == "matmul_dw" || step.op == "expert_matmul_dx";
}

// The weight of a product, or its gradient.
const TensorType& matrix_of(const PlanStep& step) {
  return step.op == "matmul_dw" ? step.out[0].type : step.in[1].type;
}

std::string describe(const Plan& plan, const PlanTask& task) {
  std::string text;
  for (const size_t index : task.steps) {
    const PlanStep& step = plan.steps()[index];
    if (!text.empty()) text += "+";
    text += step.op;
    if (!is_product(step)) continue;
    const TensorType& matrix = matrix_of(step);
    text += fmt::format(" {} {}x{}", name(matrix.dtype), matrix.shape[matrix.shape.size() - 2].factor,
                        matrix.shape.back().factor);
  }
  return text;
}

// Operations and bytes of a task's products over `runs` runs of these sizes together.
void count_products(const Plan& plan, const PlanTask& task, const SymbolValues& sizes, double runs, Work& work) {
  for (const size_t index : task.steps) {
    const PlanStep& step = plan.steps()[index];
    if (!is_product(step)) continue;
    const TensorType& matrix = matrix_of(step);
    const double numbers = numbers_of(matrix);
    double rows = 1;
    const Shape& shape = step.op == "matmul_dw" ? step.in[0].type.shape : step.out[0].type.shape;
    for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= static_cast<double>(shape[i].at(sizes));
    const double of_one = numbers / (matrix.shape.size() == 3 ? static_cast<double>(matrix.shape[0].factor) : 1);
    work.ops += 2 * rows * of_one;
    const DTypeTraits& t = traits(matrix.dtype);
    work.bytes += runs * numbers / t.block_elements * t.block_bytes;
  }
}

}  // namespace

bool is_matmul(const PlanStep& step) { return step.op == "matmul" || step.op == "expert_matmul"; }

std::vector<ProfileRow> profile(const ExecutionContext& context, const SymbolValues& sizes, double runs,
                                double seconds) {
  std::map<std::string, Work> kinds;
  double worked = 0;
  const std::vector<double> task_seconds = context.task_seconds();
  const Plan& plan = context.plan();
  for (const auto& wave : plan.waves()) {
    for (const PlanTask& task : wave) {
      Work& work = kinds[describe(plan, task)];
      work.seconds += task_seconds[task.steps.front()];
      worked += task_seconds[task.steps.front()];
      count_products(plan, task, sizes, runs, work);
    }
  }
  const double threads = context.n_threads();
  const double all = seconds * threads;
  const double waves = threads * std::accumulate(context.wave_seconds().begin(), context.wave_seconds().end(), 0.0);
  kinds["waiting"].seconds = waves - worked;
  kinds["outside the waves"].seconds = all - waves;
  std::vector<ProfileRow> rows;
  for (const auto& [what, work] : kinds) {
    const double wall = work.seconds / threads * 1e9;
    rows.push_back({what, work.seconds, work.seconds / all, work.ops / wall, work.ops > 0 ? work.bytes / wall : 0});
  }
  std::sort(rows.begin(), rows.end(), [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  return rows;
}

}  // namespace strata
