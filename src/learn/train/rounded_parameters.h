// The bfloat16 copies of parameters that mixed precision multiplies by, under names of their own (pass in_bfloat16);
// other names are those of the parameters themselves.
#pragma once

#include <string>
#include <vector>

#include "compute/kernels/cpu_kernels.h"
#include "learn/train/parameters.h"

namespace strata {

class RoundedParameters final : public WeightSource {
 public:
  // All outlive this. `weights`: the parameters under their own names, and what stands beside them.
  RoundedParameters(const Parameters& parameters, const WeightSource& weights, const CpuKernels& kernels)
      : parameters_(parameters), weights_(weights), kernels_(kernels), copies_(parameters.all().size()) {}

  // Keeps copies of what the graph refers to by rounded names, from now on.
  void keep(const Graph& graph);
  // Numbers [begin, begin + size) of a parameter have changed. Any thread, each its own numbers.
  void round(size_t parameter, size_t begin, size_t size);
  void round_all();
  // Whether a reference is neighbouring rows of a parameter, as they lie.
  bool is_rows(const WeightRef& ref) const;
  size_t bytes() const;

  std::optional<WeightTensor> find(std::string_view name) const override;
  void release(std::string_view name) const override { weights_.release(name); }
  bool changes(std::string_view name) const override { return index_of_copy(name) >= 0 || weights_.changes(name); }

 private:
  int index_of_copy(std::string_view name) const;  // of a rounded name; -1: none

  const Parameters& parameters_;
  const WeightSource& weights_;
  const CpuKernels& kernels_;
  std::vector<AlignedBuffer> copies_;  // empty: none is kept
};

}  // namespace strata
