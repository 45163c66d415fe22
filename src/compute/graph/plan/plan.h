// A plan: kernel calls over pre-assigned memory, valid for any sizes up to its maxima. Made once from a lowered graph,
// immutable afterwards, shared by any number of execution contexts (context.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "compute/graph/graph.h"
#include "compute/graph/passes/waves.h"
#include "compute/graph/plan/bind.h"
#include "compute/graph/plan/step_kernel.h"
#include "compute/graph/plan/weight_stream.h"

namespace strata {

// Where an operand is found in a run.
struct OperandRef {
  enum class Place : uint8_t { kNone, kArena, kConstant, kInput, kState, kWindow } place = Place::kNone;
  size_t offset = 0;               // kArena; kWindow: in the window of the step's segment
  const void* constant = nullptr;  // kConstant: a bound weight
  int index = 0;                   // kInput: which field of the batch; kState: number of the state
  TensorType type;
};

struct PlanStep {
  std::unique_ptr<StepKernel> kernel;
  std::vector<OperandRef> in;
  std::vector<OperandRef> out;
  std::string_view op;
};

// A step, or the steps of a chain.
struct PlanTask {
  std::vector<size_t> steps;  // into Plan::steps
};

struct PlanState {
  std::string name;
  CacheShape shape;
};

struct PlanOutput {
  std::string name;
  OperandRef ref;
};

class Plan {
 public:
  // kInvalidArgument when a graph input is unknown or an op has no kernel in this table.
  static Result<std::shared_ptr<const Plan>> make(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder,
                                                  const SymbolValues& maxima);

  const std::vector<PlanStep>& steps() const { return steps_; }
  const std::vector<std::vector<PlanTask>>& waves() const { return waves_; }
  int n_segments() const { return n_segments_; }
  // Waves [first, last) of a segment.
  std::pair<size_t, size_t> segment_waves(int segment) const;

  const SymbolValues& maxima() const { return maxima_; }
  const std::vector<PlanState>& states() const { return states_; }
  const std::vector<PlanOutput>& outputs() const { return outputs_; }
  // Values that a later segment reads from an earlier one, by the segment that makes them: what a stage sends on.
  const std::vector<std::pair<int, OperandRef>>& boundary() const { return boundary_; }

  // What each segment reads of streamed weights (pass schedule_weights); empty: nothing is streamed.
  const std::vector<WeightWindow>& windows() const { return windows_; }

  size_t arena_bytes() const { return arena_bytes_; }
  size_t unshared_bytes() const { return unshared_bytes_; }    // what the arena would be without reuse
  size_t workspace_bytes() const { return workspace_bytes_; }  // per worker
  std::string summary() const;                                 // a few lines for people

 private:
  Status add_steps(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder, const Schedule& schedule,
                   const std::vector<std::vector<size_t>>& offsets);
  void find_boundary(const Graph& graph, const std::vector<std::vector<size_t>>& offsets);
  std::vector<PlanStep> steps_;
  std::vector<std::vector<PlanTask>> waves_;
  std::vector<int> segment_of_wave_;
  int n_segments_ = 1;
  SymbolValues maxima_;
  std::vector<PlanState> states_;
  std::vector<PlanOutput> outputs_;
  std::vector<std::pair<int, OperandRef>> boundary_;
  std::vector<WeightWindow> windows_;
  size_t arena_bytes_ = 0;
  size_t unshared_bytes_ = 0;
  size_t workspace_bytes_ = 0;
};

}  // namespace strata
