// The executor: all memory that a plan writes, and the one way to run it. Several contexts may use one plan at the same
// time (draft and target, micro-batches, ranks); one context is used by one thread at a time. run() allocates nothing.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "compute/graph/batch.h"
#include "compute/graph/plan/plan.h"

namespace strata {

class ExecutionContext final : private PhasedWork {
 public:
  // The pool and the communicator (null: one rank) outlive the context.
  ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, Communicator* communicator = nullptr);
  // In the memory of another context where that is enough for this plan: they run in turns, and what one gave is gone
  // when the other runs.
  ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, const ExecutionContext& other);

  const Plan& plan() const { return *plan_; }
  int n_threads() const { return pool_.n_threads(); }
  bool shares_memory_with(const ExecutionContext& other) const { return memory_ == other.memory_; }
  // Memory of a state (plan().states()[index]): n_blocks * block_bytes, zero where nothing was written.
  void set_state(int index, void* memory) { states_[static_cast<size_t>(index)] = memory; }

  // Where the plan's windows come from; before the first run of a plan that has some.
  void stream_weights(std::unique_ptr<WeightStream> stream) { stream_ = std::move(stream); }
  WeightStream* stream() const { return stream_.get(); }

  // Runs all segments, or one. The batch's sizes must not exceed the plan's maxima (CHECK).
  void run(const Batch& batch);
  void run_segment(int segment, const Batch& batch);
  // Why the last run, or segment, has no results: its weights could not be read. Always ok where nothing is streamed.
  const Status& status() const { return status_; }

  // Time spent in each wave, summed over runs since measuring began, in seconds; empty when it never did.
  void measure_waves();
  const std::vector<double>& wave_seconds() const { return wave_seconds_; }
  // Of that, what the threads together worked on each task, at its first step's index. The rest of all threads' time
  // in waves went to barriers and to waiting for the last piece.
  std::vector<double> task_seconds() const;

  // A named output of the last run, in its arena: rows of this run times the row's numbers. Empty when unknown.
  std::span<float> output(std::string_view name);
  std::span<const int32_t> output_integers(std::string_view name);  // the same for an output of kI32
  // What crosses from a segment to later ones with this batch: copy it into the same values of another context of the
  // plan to continue there.
  std::vector<std::span<std::byte>> boundary(int segment, const Batch& batch);

 private:
  void bind_sizes(const Batch& batch);
  void bind_step(size_t step);
  void run_waves(size_t first, size_t last);
  Phase next_phase(int64_t* units_of_group) override;
  void compute(int64_t begin, int64_t end, int worker) override;
  void compute_items(const PlanTask& task, int64_t grain, int64_t begin, int64_t end, void* workspace) const;
  void end_wave(size_t wave);
  bool is_brief(const PlanTask& task) const;
  int64_t task_grain(const PlanTask& task) const;
  void resolve(const OperandRef& ref, Operand& operand) const;
  Operand find_output(std::string_view name) const;  // no data when unknown

  // Units of a wave that are pieces of one task, for one group of workers.
  struct TaskShare {
    int64_t first_unit = 0;
    int64_t end_unit = 0;
    int64_t first_item = 0;  // of the task, that the first unit begins with
    int64_t items = 0;       // of the whole task
    int64_t grain = 1;       // items of a unit
    const PlanTask* task = nullptr;
  };

  // What runs write.
  struct Memory {
    AlignedBuffer arena;
    std::vector<AlignedBuffer> workspaces;  // one for each worker
    bool fits(const Plan& plan) const;
  };
  static std::shared_ptr<const Memory> make_memory(const Plan& plan, const ThreadPool& pool);
  ExecutionContext(std::shared_ptr<const Plan> plan, ThreadPool& pool, Communicator* communicator,
                   std::shared_ptr<const Memory> memory);

  std::shared_ptr<const Plan> plan_;
  ThreadPool& pool_;
  Communicator* communicator_;
  std::shared_ptr<const Memory> memory_;
  std::vector<void*> states_;
  std::unique_ptr<WeightStream> stream_;
  const std::byte* window_ = nullptr;  // of the segment under way
  Status status_;
  std::vector<StepArgs> args_;
  std::vector<TaskShare> shares_;  // of the wave under way, in the order of their units
  SymbolValues sizes_;
  const Batch* batch_ = nullptr;
  std::vector<double> wave_seconds_;               // written by whichever worker ends a wave, while the others wait
  std::vector<std::vector<double>> task_seconds_;  // [worker][step]
  TimePoint wave_start_;
  size_t first_wave_ = 0;  // of the run under way
  size_t next_wave_ = 0;
  size_t last_wave_ = 0;
};

}  // namespace strata
