#include "compute/graph/plan/context.h"

#include <algorithm>

#include "base/check.h"
#include "compute/kernels/float_mode.h"

namespace strata {

bool ExecutionContext::Memory::fits(const Plan& plan) const {
  return plan.arena_bytes() <= arena.size() && plan.workspace_bytes() <= workspaces.front().size();
}

std::shared_ptr<const ExecutionContext::Memory> ExecutionContext::make_memory(const Plan& plan,
                                                                              const ThreadPool& pool) {
  auto memory = std::make_shared<Memory>();
  memory->arena = AlignedBuffer(plan.arena_bytes(), false);  // of the longest step; shorter ones use a part of it
  for (int i = 0; i < pool.n_threads(); ++i) memory->workspaces.emplace_back(plan.workspace_bytes());
  return memory;
}

ExecutionContext::ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, Communicator* communicator)
    : ExecutionContext(plan, pool, communicator, make_memory(*plan, pool)) {}

ExecutionContext::ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, const ExecutionContext& other)
    : ExecutionContext(plan, pool, nullptr, other.memory_->fits(*plan) ? other.memory_ : make_memory(*plan, pool)) {}

ExecutionContext::ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, Communicator* communicator,
                                   std::shared_ptr<const Memory> memory)
    : plan_(std::move(plan)),
      pool_(pool),
      communicator_(communicator),
      memory_(std::move(memory)),
      states_(plan_->states().size(), nullptr),
      args_(plan_->steps().size()) {
  size_t widest = 1;
  for (const auto& wave : plan_->waves()) widest = std::max(widest, wave.size());
  shares_.reserve(widest * static_cast<size_t>(pool.n_groups()));
}

void ExecutionContext::resolve(const OperandRef& ref, Operand& operand) const {
  operand.dtype = ref.type.dtype;
  operand.rank = static_cast<int>(ref.type.shape.size());
  for (size_t i = 0; i < ref.type.shape.size(); ++i) operand.dims[i] = ref.type.shape[i].at(sizes_);
  switch (ref.place) {
    case OperandRef::Place::kNone:
      operand.data = nullptr;
      break;
    case OperandRef::Place::kArena:
      operand.data = memory_->arena.data() + ref.offset;
      break;
    case OperandRef::Place::kConstant:
      operand.data = const_cast<void*>(ref.constant);
      break;
    case OperandRef::Place::kWindow:
      operand.data = const_cast<std::byte*>(window_ + ref.offset);
      break;
    case OperandRef::Place::kState:
      operand.data = states_[static_cast<size_t>(ref.index)];
      break;
    case OperandRef::Place::kInput: {
      const Batch& b = *batch_;
      const auto at = [](auto span) -> const void* { return span.empty() ? nullptr : span.data(); };
      const void* inputs[] = {at(b.ids),         at(b.positions), at(b.output_rows), at(b.adapters),
                              at(b.targets),     at(b.token_types), at(b.long_rope), at(b.teacher_ids),
                              at(b.teacher_probabilities)};
      const auto index = static_cast<size_t>(ref.index), known = std::size(inputs);
      operand.data = const_cast<void*>(index < known ? inputs[index] : b.teacher_hidden[index - known].data());
      break;
    }
  }
}

void ExecutionContext::bind_step(size_t index) {
  const PlanStep& step = plan_->steps()[index];
  StepArgs& args = args_[index];
  for (size_t i = 0; i < step.in.size(); ++i) resolve(step.in[i], args.in[i]);
  for (size_t i = 0; i < step.out.size(); ++i) resolve(step.out[i], args.out[i]);
  args.batch = batch_;
  args.communicator = communicator_;
}

int64_t ExecutionContext::task_grain(const PlanTask& task) const {
  int64_t grain = plan_->steps()[task.steps.front()].kernel->grain(args_[task.steps.front()]);
  for (const size_t step : task.steps) grain = std::min(grain, plan_->steps()[step].kernel->grain(args_[step]));
  return grain;
}

bool ExecutionContext::is_brief(const PlanTask& task) const {
  return std::all_of(task.steps.begin(), task.steps.end(),
                     [this](size_t step) { return plan_->steps()[step].kernel->is_brief(args_[step]); });
}

// What the items of a step are may depend on the steps before it.
PhasedWork::Phase ExecutionContext::next_phase(int64_t* units_of_group) {
  if (next_wave_ > first_wave_) end_wave(next_wave_ - 1);
  if (next_wave_ == last_wave_) return Phase::kOver;
  const auto& tasks = plan_->waves()[next_wave_++];
  shares_.clear();
  int64_t units = 0;
  bool brief = true;
  for (int group = 0; group < pool_.n_groups(); ++group) {
    const int64_t first = units;
    for (const PlanTask& task : tasks) {
      const size_t step = task.steps.front();
      const int64_t items = plan_->steps()[step].kernel->items(args_[step]);
      const int64_t grain = task_grain(task);
      const auto [begin, end] = pool_.share_of_group(group, (items + grain - 1) / grain);
      shares_.push_back({units, units + end - begin, begin * grain, items, grain, &task});
      units += end - begin;
      brief = brief && is_brief(task);
    }
    units_of_group[group] = units - first;
  }
  return brief ? Phase::kAlone : Phase::kShared;
}

void ExecutionContext::measure_waves() {
  wave_seconds_.assign(plan_->waves().size(), 0);
  task_seconds_.assign(static_cast<size_t>(pool_.n_threads()), std::vector<double>(plan_->steps().size()));
}

std::vector<double> ExecutionContext::task_seconds() const {
  std::vector<double> sum(plan_->steps().size());
  for (const std::vector<double>& of_worker : task_seconds_) {
    for (size_t step = 0; step < sum.size(); ++step) sum[step] += of_worker[step];
  }
  return sum;
}

void ExecutionContext::end_wave(size_t wave) {
  if (wave_seconds_.empty()) return;
  const TimePoint now = steady_clock().now();
  wave_seconds_[wave] += to_seconds(now - wave_start_);
  wave_start_ = now;
}

void ExecutionContext::compute(int64_t begin, int64_t end, int worker) {
  const ComputeFloatMode mode;
  void* workspace = memory_->workspaces[static_cast<size_t>(worker)].data();
  const bool measured = !wave_seconds_.empty();
  for (const TaskShare& share : shares_) {
    const int64_t from = std::max(begin, share.first_unit);
    const int64_t to = std::min(end, share.end_unit);
    if (from >= to) continue;
    const int64_t first = share.first_item + (from - share.first_unit) * share.grain;
    const int64_t last = std::min(share.items, first + (to - from) * share.grain);
    const TimePoint start = measured ? steady_clock().now() : TimePoint{};
    compute_items(*share.task, share.grain, first, last, workspace);
    if (!measured) continue;
    task_seconds_[static_cast<size_t>(worker)][share.task->steps.front()] += to_seconds(steady_clock().now() - start);
  }
}

// A chain goes on with all its steps before the next rows, which stay in the first-level cache.
void ExecutionContext::compute_items(const PlanTask& task, int64_t grain, int64_t begin, int64_t end,
                                     void* workspace) const {
  if (task.steps.size() == 1) grain = end - begin;
  for (int64_t first = begin; first < end; first += grain) {
    const int64_t last = std::min(end, first + grain);
    for (const size_t step : task.steps) plan_->steps()[step].kernel->run(args_[step], first, last, workspace);
  }
}

void ExecutionContext::run_waves(size_t first, size_t last) {
  if (first == last) return;
  for (size_t wave = first; wave < last; ++wave) {
    for (const PlanTask& task : plan_->waves()[wave]) {
      for (const size_t step : task.steps) bind_step(step);
    }
  }
  first_wave_ = first;
  next_wave_ = first;
  last_wave_ = last;
  if (!wave_seconds_.empty()) wave_start_ = steady_clock().now();
  pool_.run(*this);
}

void ExecutionContext::run(const Batch& batch) {
  status_ = ok_status();
  for (int segment = 0; segment < plan_->n_segments() && status_.ok(); ++segment) run_segment(segment, batch);
}

void ExecutionContext::bind_sizes(const Batch& batch) {
  batch_ = &batch;
  sizes_[Symbol::kTokens] = batch.tokens();
  sizes_[Symbol::kOutputs] = batch.outputs();
  sizes_[Symbol::kSequences] = batch.sequences();
  CHECK_LE(sizes_[Symbol::kTokens], plan_->maxima()[Symbol::kTokens]);
  CHECK_LE(sizes_[Symbol::kOutputs], plan_->maxima()[Symbol::kOutputs]);
  CHECK_LE(sizes_[Symbol::kSequences], plan_->maxima()[Symbol::kSequences]);
}

void ExecutionContext::run_segment(int segment, const Batch& batch) {
  bind_sizes(batch);
  const auto [first, last] = plan_->segment_waves(segment);
  const bool streams = !plan_->windows().empty() && plan_->windows()[static_cast<size_t>(segment)].bytes > 0;
  if (streams) {
    Result<const std::byte*> window = stream_->acquire(segment);
    status_ = window.status();
    if (!window.ok()) return;
    window_ = *window;
  }
  run_waves(first, last);
  if (streams) stream_->release();
}

Operand ExecutionContext::find_output(std::string_view name) const {
  Operand operand;
  for (const PlanOutput& output : plan_->outputs()) {
    if (output.name == name) resolve(output.ref, operand);
  }
  return operand;
}

std::span<float> ExecutionContext::output(std::string_view name) {
  const Operand operand = find_output(name);
  if (operand.data == nullptr) return {};
  return {operand.f32(), static_cast<size_t>(operand.elements())};
}

std::span<const int32_t> ExecutionContext::output_integers(std::string_view name) {
  const Operand operand = find_output(name);
  if (operand.data == nullptr) return {};
  CHECK(operand.dtype == DType::kI32);
  return {operand.i32(), static_cast<size_t>(operand.elements())};
}

std::vector<std::span<std::byte>> ExecutionContext::boundary(int segment, const Batch& batch) {
  bind_sizes(batch);
  std::vector<std::span<std::byte>> values;
  for (const auto& [from, ref] : plan_->boundary()) {
    if (from == segment) values.emplace_back(memory_->arena.data() + ref.offset, ref.type.bytes(sizes_));
  }
  return values;
}

}  // namespace strata
