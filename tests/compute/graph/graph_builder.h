// A graph under construction with the numbers of its weights.
#pragma once

#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "compute/graph/ops/ops.h"
#include "compute/graph/plan/bind.h"

namespace strata {

constexpr int64_t kTokens = 6;

class Numbers final : public WeightSource {
 public:
  std::optional<WeightTensor> find(std::string_view name) const override {
    const auto at = values.find(std::string(name));
    if (at == values.end()) return std::nullopt;
    return WeightTensor{DType::kF32, shapes.at(at->first), std::as_bytes(std::span(at->second))};
  }
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, std::vector<int64_t>> shapes;
};

// The graph under construction and the numbers of its weights.
struct Builder {
  Graph graph;
  Numbers numbers;
  std::mt19937 random{7};

  Value weight(const std::string& name, std::vector<int64_t> shape, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    int64_t rows = 1;
    Shape dims;
    for (size_t i = 0; i < shape.size(); ++i) {
      dims.emplace_back(shape[i]);
      if (i + 1 < shape.size()) rows *= shape[i];
    }
    auto& values = numbers.values[name];
    for (int64_t i = 0; i < rows * shape.back(); ++i) values.push_back(normal(random));
    numbers.shapes[name] = shape;
    return graph.add_weight(name, {DType::kF32, dims}, {{{name, 0, rows, 0, shape.back()}}, false, 1});
  }
  // A value [T, ...] that depends on the weight `name`. Of every number, keeps away from `kinks`.
  Value rows(const std::string& name, std::vector<int64_t> inner, const std::vector<float>& kinks = {}) {
    int64_t width = 1;
    for (const int64_t n : inner) width *= n;
    const Value table = weight(name, {kTokens, width});
    for (float& v : numbers.values[name]) {
      for (const float kink : kinks) {
        if (std::abs(v - kink) < 0.05F) v = kink + 0.1F;
      }
    }
    const Value x = ops::embed(graph, table, graph.add_input("ids", {DType::kI32, {Dim::tokens()}}));
    if (inner.size() == 1) return x;
    Shape shape{Dim::tokens()};
    for (const int64_t n : inner) shape.emplace_back(n);
    return ops::reshape(graph, x, shape);
  }
  Value positions() { return graph.add_input("positions", {DType::kI32, {Dim::tokens()}}); }
};

}  // namespace strata
