#include "compute/graph/plan/context.h"

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "compute/kernels/float_mode.h"

namespace strata {

ExecutionContext::ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, Communicator* communicator)
    : plan_(std::move(plan)),
      pool_(pool),
      communicator_(communicator),
      arena_(plan_->arena_bytes(), false),  // planned for the longest step; the part of shorter ones is used
      states_(plan_->states().size(), nullptr),
      args_(plan_->steps().size()),
      barrier_(pool.n_threads()),
      body_([this](int worker) { work(worker); }) {
  for (int i = 0; i < pool.n_threads(); ++i) workspaces_.emplace_back(plan_->workspace_bytes());
  size_t widest = 1;
  for (const auto& wave : plan_->waves()) widest = std::max(widest, wave.size());
  queues_ = std::vector<WorkQueue>(widest);
  grains_.resize(widest);
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
      operand.data = arena_.data() + ref.offset;
      break;
    case OperandRef::Place::kConstant:
      operand.data = const_cast<void*>(ref.constant);
      break;
    case OperandRef::Place::kState:
      operand.data = states_[static_cast<size_t>(ref.index)];
      break;
    case OperandRef::Place::kInput: {
      const std::span<const int32_t> spans[] = {batch_->ids,      batch_->positions, batch_->output_rows,
                                                batch_->adapters, batch_->targets,   batch_->token_types,
                                                batch_->long_rope};
      const auto& span = spans[ref.index];
      operand.data = span.empty() ? nullptr : const_cast<int32_t*>(span.data());
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

int64_t ExecutionContext::task_items(const PlanTask& task) const {
  const size_t first = task.steps.front();
  return plan_->steps()[first].kernel->items(args_[first]);
}

int64_t ExecutionContext::task_grain(const PlanTask& task) const {
  int64_t grain = plan_->steps()[task.steps.front()].kernel->grain(args_[task.steps.front()]);
  for (const size_t step : task.steps) grain = std::min(grain, plan_->steps()[step].kernel->grain(args_[step]));
  return grain;
}

// Called by one thread while the others wait: what the items of a step are may depend on the steps before it.
void ExecutionContext::start_wave(size_t wave) {
  const auto& tasks = plan_->waves()[wave];
  for (size_t i = 0; i < tasks.size(); ++i) {
    queues_[i].reset(task_items(tasks[i]));
    grains_[i] = task_grain(tasks[i]);
  }
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

void ExecutionContext::work_on_wave(size_t wave, int worker) {
  const auto& tasks = plan_->waves()[wave];
  void* workspace = workspaces_[static_cast<size_t>(worker)].data();
  const bool measured = !wave_seconds_.empty();
  TimePoint start = measured ? steady_clock().now() : TimePoint{};
  for (size_t i = 0; i < tasks.size(); ++i) {
    int64_t begin = 0;
    int64_t end = 0;
    while (queues_[i].take(grains_[i], begin, end)) {
      for (const size_t step : tasks[i].steps) plan_->steps()[step].kernel->run(args_[step], begin, end, workspace);
    }
    if (measured) {
      const TimePoint end_of_task = steady_clock().now();
      task_seconds_[static_cast<size_t>(worker)][tasks[i].steps.front()] += to_seconds(end_of_task - start);
      start = end_of_task;
    }
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
  last_wave_ = last;
  if (!wave_seconds_.empty()) wave_start_ = steady_clock().now();
  start_wave(first);
  pool_.run(body_);
  end_wave(last - 1);
}

void ExecutionContext::work(int worker) {
  set_compute_float_mode();
  for (size_t wave = first_wave_; wave < last_wave_; ++wave) {
    work_on_wave(wave, worker);
    if (wave + 1 == last_wave_) return;
    const std::function<void()> next = [this, wave] {
      end_wave(wave);
      start_wave(wave + 1);
    };
    barrier_.arrive_and_wait(&next);
  }
}

void ExecutionContext::run(const Batch& batch) {
  for (int segment = 0; segment < plan_->n_segments(); ++segment) run_segment(segment, batch);
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
  run_waves(first, last);
}

std::span<float> ExecutionContext::output(std::string_view name) {
  for (const PlanOutput& output : plan_->outputs()) {
    if (output.name != name) continue;
    Operand operand;
    resolve(output.ref, operand);
    return {operand.f32(), static_cast<size_t>(operand.elements())};
  }
  return {};
}

std::vector<std::span<std::byte>> ExecutionContext::boundary(int segment, const Batch& batch) {
  bind_sizes(batch);
  std::vector<std::span<std::byte>> values;
  for (const auto& [from, ref] : plan_->boundary()) {
    if (from == segment) values.emplace_back(arena_.data() + ref.offset, ref.type.bytes(sizes_));
  }
  return values;
}

}  // namespace strata
