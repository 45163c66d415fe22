#include "compute/graph/plan/plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/plan_memory.h"
#include "compute/graph/plan/cache_shape.h"
#include "compute/graph/plan/steps.h"
#include "compute/graph/verify.h"

namespace strata {
namespace {

constexpr std::array<std::string_view, 9> kInputNames = {
    "ids",         "positions", "output_rows", "adapters",             "targets",
    "token_types", "long_rope", "teacher_ids", "teacher_probabilities"};

// "teacher_hidden.3" -> 3
std::optional<int> teacher_hidden_index(const std::string& name) {
  constexpr std::string_view kPrefix = "teacher_hidden.";
  int index = 0;
  const char* end = name.data() + name.size();
  if (!name.starts_with(kPrefix) || std::from_chars(name.data() + kPrefix.size(), end, index).ptr != end)
    return std::nullopt;
  return index;
}

// Makes operand references for the values of one graph.
class Operands {
 public:
  Operands(const Graph& graph, WeightBinder& binder, const std::vector<std::vector<size_t>>& offsets,
           std::vector<PlanState>& states)
      : graph_(graph), binder_(binder), offsets_(offsets), states_(states) {}

  // `window`: where weights that the op's segment streams are noted.
  Result<OperandRef> of(Value value, WeightForm form = WeightForm::kDense, const MatmulFamily* family = nullptr,
                        WeightWindow* window = nullptr) {
    const Node& node = graph_.node(value);
    OperandRef ref;
    ref.type = graph_.type(value);
    switch (node.kind) {
      case NodeKind::kWeight:
        ref.place = OperandRef::Place::kConstant;
        if (node.streamed && form == WeightForm::kPacked) {
          ref.place = OperandRef::Place::kWindow;
          ref.offset = window->add(binder_.streamed(node, *family));
        } else if (form == WeightForm::kPacked) {
          ref.constant = binder_.packed(node, *family);
        } else if (form == WeightForm::kRows && binder_.stored_rows(node) != nullptr) {
          ref.constant = binder_.stored_rows(node);
        } else {
          ref.constant = binder_.dense(node);
          ref.type.dtype = DType::kF32;
        }
        return ref;
      case NodeKind::kInput: {
        ref.place = OperandRef::Place::kInput;
        if (const auto layer = teacher_hidden_index(node.name)) {
          ref.index = static_cast<int>(kInputNames.size()) + *layer;
          return ref;
        }
        const auto at = std::find(kInputNames.begin(), kInputNames.end(), node.name);
        if (at == kInputNames.end()) return invalid_argument("plan: no batch field named " + node.name);
        ref.index = static_cast<int>(at - kInputNames.begin());
        return ref;
      }
      case NodeKind::kState:
        ref.place = OperandRef::Place::kState;
        ref.index = state_index(node);
        return ref;
      case NodeKind::kOp:
        break;
    }
    if (node.op->keeps_state) return of(node.inputs[0]);
    if (node.op->view) {  // the memory of what it views, with another shape
      ASSIGN_OR_RETURN(OperandRef base, of(node.inputs[0], form, family, window));
      base.type.shape = ref.type.shape;
      return base;
    }
    ref.place = OperandRef::Place::kArena;
    ref.offset = offsets_[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
    return ref;
  }

 private:
  int state_index(const Node& node) {
    for (size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].name == node.name) return static_cast<int>(i);
    }
    states_.push_back({node.name, cache_shape(node)});
    return static_cast<int>(states_.size()) - 1;
  }
  const Graph& graph_;
  WeightBinder& binder_;
  const std::vector<std::vector<size_t>>& offsets_;
  std::vector<PlanState>& states_;
};

std::string megabytes(size_t bytes) { return std::to_string((bytes + (1 << 19)) >> 20) + " MiB"; }

}  // namespace

Result<std::shared_ptr<const Plan>> Plan::make(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder,
                                               const SymbolValues& maxima) {
  RETURN_IF_ERROR(verify(graph));
  const Schedule schedule = schedule_waves(graph);
  const MemoryPlan memory = plan_memory(graph, schedule, maxima);
  auto plan = std::make_shared<Plan>();
  plan->maxima_ = maxima;
  plan->arena_bytes_ = memory.bytes;
  plan->unshared_bytes_ = memory.bytes_unshared;
  plan->segment_of_wave_ = schedule.segment_of_wave;
  plan->n_segments_ = schedule.segment_of_wave.empty() ? 1 : schedule.segment_of_wave.back() + 1;
  RETURN_IF_ERROR(plan->add_steps(graph, kernels, binder, schedule, memory.offset));
  Operands operands(graph, binder, memory.offset, plan->states_);
  for (const NamedValue& output : graph.outputs()) {
    ASSIGN_OR_RETURN(OperandRef ref, operands.of(output.value));
    plan->outputs_.push_back({output.name, std::move(ref)});
  }
  plan->find_boundary(graph, memory.offset);
  return std::shared_ptr<const Plan>(std::move(plan));
}

Status Plan::add_steps(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder, const Schedule& schedule,
                       const std::vector<std::vector<size_t>>& offsets) {
  Operands operands(graph, binder, offsets, states_);
  const StepContext context{graph, kernels};
  windows_.resize(static_cast<size_t>(n_segments_));
  for (const Wave& wave : schedule.waves) {
    std::vector<PlanTask> tasks;
    for (const Task& task : wave) {
      PlanTask plan_task;
      for (const int32_t index : task.nodes) {
        const Node& node = graph.nodes()[static_cast<size_t>(index)];
        WeightWindow& window = windows_[static_cast<size_t>(node.segment)];
        PlanStep step;
        step.op = node.op->name;
        step.kernel = make_step(context, node);
        if (step.kernel == nullptr)
          return invalid_argument("plan: no " + std::string(kernels.name) + " kernel for op " + std::string(step.op));
        CHECK_LE(node.inputs.size(), static_cast<size_t>(kMaxOperands));
        for (size_t i = 0; i < node.inputs.size(); ++i) {
          const WeightForm form = weight_form(graph, node, i);
          const TensorType& type = graph.type(node.inputs[i]);
          const MatmulFamily* family =
              form == WeightForm::kPacked ? &family_for(kernels, type.dtype, type.last().factor) : nullptr;
          ASSIGN_OR_RETURN(OperandRef ref, operands.of(node.inputs[i], form, family, &window));
          step.in.push_back(std::move(ref));
        }
        for (int32_t output = 0; output < static_cast<int32_t>(node.outputs.size()); ++output) {
          ASSIGN_OR_RETURN(OperandRef ref, operands.of({index, output}));
          step.out.push_back(std::move(ref));
        }
        workspace_bytes_ = std::max(workspace_bytes_, step.kernel->workspace_bytes());
        plan_task.steps.push_back(steps_.size());
        steps_.push_back(std::move(step));
      }
      tasks.push_back(std::move(plan_task));
    }
    waves_.push_back(std::move(tasks));
  }
  if (std::all_of(windows_.begin(), windows_.end(), [](const WeightWindow& window) { return window.bytes == 0; })) {
    windows_.clear();
  }
  return ok_status();
}

void Plan::find_boundary(const Graph& graph, const std::vector<std::vector<size_t>>& offsets) {
  std::set<std::pair<int, size_t>> known;
  for (const Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kOp) continue;
    for (Value input : node.inputs) {
      const TensorType type = graph.type(input);
      input = graph.behind_views(input);
      const Node& producer = graph.node(input);
      if (producer.kind != NodeKind::kOp || producer.op->keeps_state || producer.segment == node.segment) continue;
      const size_t offset = offsets[static_cast<size_t>(input.node)][static_cast<size_t>(input.output)];
      if (!known.insert({producer.segment, offset}).second) continue;
      OperandRef ref;
      ref.place = OperandRef::Place::kArena;
      ref.offset = offset;
      ref.type = type;
      boundary_.emplace_back(producer.segment, std::move(ref));
    }
  }
}

std::pair<size_t, size_t> Plan::segment_waves(int segment) const {
  const auto range = std::equal_range(segment_of_wave_.begin(), segment_of_wave_.end(), segment);
  return {static_cast<size_t>(range.first - segment_of_wave_.begin()),
          static_cast<size_t>(range.second - segment_of_wave_.begin())};
}

std::string Plan::summary() const {
  return std::to_string(steps_.size()) + " steps in " + std::to_string(waves_.size()) + " waves, " +
         std::to_string(n_segments_) + " segment(s); activations " + megabytes(unshared_bytes_) + " before reuse, " +
         megabytes(arena_bytes_) + " after";
}

}  // namespace strata
