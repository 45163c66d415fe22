#include "learn/train/gradients.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "compute/kernels/float_mode.h"

namespace strata {
namespace {

constexpr int64_t kBlock = 16384;  // numbers of a piece of work; part of what global_norm is to the bit

bool is_whole(const WeightRef& ref, const Parameter& parameter) {
  if (ref.parts.size() != 1 || ref.transpose || ref.scale != 1) return false;
  const WeightPart& part = ref.parts[0];
  return part.row_step == 1 && part.col_step == 1 &&
         part.n_rows() * part.n_cols() == static_cast<int64_t>(parameter.values().size());
}

// In chains that do not wait for each other, ended in order.
double sum_of_squares(std::span<const float> numbers) {
  constexpr size_t kChains = 8;
  double sums[kChains] = {};
  size_t i = 0;
  for (; i + kChains <= numbers.size(); i += kChains) {
    for (size_t c = 0; c < kChains; ++c) {
      const double g = numbers[i + c];
      sums[c] += g * g;
    }
  }
  for (size_t c = 0; i < numbers.size(); ++i, ++c) sums[c] += static_cast<double>(numbers[i]) * numbers[i];
  double sum = 0;
  for (const double of_chain : sums) sum += of_chain;
  return sum;
}

}  // namespace

Gradients::Gradients(const Graph& differentiated, const Parameters& parameters)
    : parameters_(parameters),
      whole_(parameters.all().size(), 0),
      sums_(parameters.all().size()),
      gradient_(parameters.all().size()) {
  include(differentiated);
  std::vector<int> uses(parameters.all().size(), 0);
  for (const Weight& weight : weights_[0]) {
    for (const WeightPart& part : weight.ref.parts) {
      const auto at = static_cast<size_t>(parameters.index_of(part.tensor));
      CHECK_LT(at, whole_.size());
      whole_[at] = ++uses[at] == 1 && is_whole(weight.ref, parameters.all()[at]);
    }
  }
}

size_t Gradients::include(const Graph& differentiated) {
  std::vector<Weight>& weights = weights_.emplace_back();
  for (const Node& node : differentiated.nodes()) {
    std::string output = "grad." + node.name;
    if (node.kind == NodeKind::kWeight && differentiated.find_output(output).valid())
      weights.push_back({std::move(output), node.weight});
  }
  return weights_.size() - 1;
}

void Gradients::begin(int n_runs) {
  one_run_ = n_runs == 1;
  for (size_t i = 0; i < gradient_.size(); ++i) {
    gradient_[i] = {};
    if (sums_[i].size() > 0) std::fill_n(reinterpret_cast<float*>(sums_[i].data()), sums_[i].size() / sizeof(float), 0);
  }
}

size_t Gradients::sum_bytes(int n_runs) const {
  std::vector<char> is_summed(sums_.size(), 0);
  for (const Weight& weight : weights_[0]) {
    for (const WeightPart& part : weight.ref.parts)
      is_summed[static_cast<size_t>(parameters_.index_of(part.tensor))] = 1;
  }
  size_t bytes = 0;
  for (size_t i = 0; i < sums_.size(); ++i) {
    if (is_summed[i] && !(n_runs == 1 && whole_[i])) bytes += parameters_.all()[i].memory.size();
  }
  return bytes;
}

void Gradients::add(ExecutionContext& context, ThreadPool& pool, size_t graph, double weight_of_run) {
  for (const Weight& weight : weights_[graph]) {
    const std::span<const float> values = context.output(weight.output);
    const auto first = static_cast<size_t>(parameters_.index_of(weight.ref.parts[0].tensor));
    if (one_run_ && whole_[first]) {
      gradient_[first] = values;
    } else {
      add_weight(weight, values, weight.ref.scale * static_cast<float>(weight_of_run), pool);
    }
  }
}

void Gradients::add_weight(const Weight& weight, std::span<const float> values, float scale, ThreadPool& pool) {
  const float* from = values.data();
  for (const WeightPart& part : weight.ref.parts) {
    const auto at = static_cast<size_t>(parameters_.index_of(part.tensor));
    const Parameter& parameter = parameters_.all()[at];
    if (sums_[at].size() == 0) sums_[at] = AlignedBuffer(parameter.memory.size());
    auto* sum = reinterpret_cast<float*>(sums_[at].data());
    gradient_[at] = {sum, parameter.values().size()};
    const int64_t n = part.n_rows(), k = part.n_cols(), stride = parameter.columns();
    const bool turned = weight.ref.transpose;
    pool.parallel_for(n, std::max<int64_t>(1, kBlock / std::max<int64_t>(1, k)), [&](int64_t begin, int64_t end, int) {
      const ComputeFloatMode mode;
      for (int64_t i = begin; i < end; ++i) {
        float* row = sum + (part.row_begin + i * part.row_step) * stride + part.col_begin;
        for (int64_t j = 0; j < k; ++j) row[j * part.col_step] += from[turned ? j * n + i : i * k + j] * scale;
      }
    });
    from += n * k;
  }
}

double global_norm(const Gradients& gradients, size_t n_parameters, ThreadPool& pool) {
  std::vector<std::span<const float>> blocks;
  for (size_t i = 0; i < n_parameters; ++i) {
    std::span<const float> rest = gradients.of(i);
    for (; !rest.empty(); rest = rest.subspan(std::min<size_t>(rest.size(), kBlock))) {
      blocks.push_back(rest.first(std::min<size_t>(rest.size(), kBlock)));
    }
  }
  std::vector<double> sums(blocks.size());
  pool.parallel_for(static_cast<int64_t>(blocks.size()), 1, [&](int64_t begin, int64_t end, int) {
    const ComputeFloatMode mode;
    for (int64_t i = begin; i < end; ++i) {
      sums[static_cast<size_t>(i)] = sum_of_squares(blocks[static_cast<size_t>(i)]);
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

}  // namespace strata
