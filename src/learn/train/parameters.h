// The weights that training changes: fp32 numbers under their published names, in memory. The graph's weights are
// references to them, so a fused, stacked or transposed weight needs nothing of its own here.
//
// One thread changes values, between steps; a binder that reads them is refreshed afterwards.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/graph/plan/bind.h"

namespace strata {

struct Parameter {
  std::string name;
  std::vector<int64_t> shape;  // outermost first
  AlignedBuffer memory;

  std::span<float> values() const { return {reinterpret_cast<float*>(memory.data()), memory.size() / sizeof(float)}; }
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
};

class Parameters final : public WeightSource {
 public:
  // Zeros. Names are added once (CHECK).
  Parameter& add(std::string name, std::vector<int64_t> shape);
  // Adds every tensor that the graph refers to, as fp32. kInvalidArgument when the source lacks one.
  static Result<Parameters> copy(const Graph& graph, const WeightSource& source);

  std::optional<WeightTensor> find(std::string_view name) const override;

  std::span<Parameter> all() { return list_; }
  std::span<const Parameter> all() const { return list_; }
  // Position in all(); -1 when there is none of this name.
  int index_of(std::string_view name) const;
  int64_t count() const;  // numbers in all of them

 private:
  std::vector<Parameter> list_;
  std::map<std::string, int, std::less<>> index_;
};

// The weights of a graph in training: parameters, and what is frozen.
class TrainedWeights final : public WeightSource {
 public:
  TrainedWeights(const Parameters& parameters, const WeightSource* frozen) : parameters_(parameters), frozen_(frozen) {}
  std::optional<WeightTensor> find(std::string_view name) const override {
    return changes(name) || frozen_ == nullptr ? parameters_.find(name) : frozen_->find(name);
  }
  void release(std::string_view name) const override {
    if (!changes(name) && frozen_ != nullptr) frozen_->release(name);
  }
  bool changes(std::string_view name) const override { return parameters_.index_of(name) >= 0; }

 private:
  const Parameters& parameters_;
  const WeightSource* frozen_;
};

}  // namespace strata
