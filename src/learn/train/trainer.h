// Training of one model: its graph differentiated and planned, the parameters, and what the optimizer remembers. A step
// is begin(n), n times accumulate(batch), then apply(rate). Deterministic at any thread count.
//
// Narrower models inside it (TrainerOptions::widths) are trained along: each step trains the whole model and one of
// them, in turn by the number of the step. All of them in every step would cost a forward and a backward pass for each.
//
// One thread uses it; the compute threads are the pool's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "compute/graph/passes/add_loss.h"
#include "compute/graph/plan/context.h"
#include "compute/graph/plan/profile.h"
#include "compute/kernels/cpu_kernels.h"
#include "engine/model_runner.h"
#include "learn/train/choose_recompute.h"
#include "learn/train/distillation.h"
#include "learn/train/gradients.h"
#include "learn/train/optimizer.h"
#include "learn/train/parameters.h"
#include "learn/train/precision.h"
#include "learn/train/rounded_parameters.h"
#include "learn/train/step_cost.h"
#include "model/format/nested_widths.h"

namespace strata {

struct TrainerOptions {
  int64_t max_tokens = 0;  // of one batch; its sequences and targets are no more
  OptimizerOptions optimizer;
  Precision precision = Precision::kFp32;
  double max_norm = 0;       // gradients are clipped to this global norm; 0: they are not
  double average_decay = 0;  // of the moving average of the weights; 0: none is kept
  int n_batches = 1;         // of a step, at most
  int64_t context = 0;       // most tokens that see each other; 0: max_tokens
  RecomputeRule recompute = RecomputeRule::kNone;
  uint64_t memory = 0;  // for all that the trainer plans: it recomputes as much as fits in there; 0: as the rule says
  // Batches come with what a teacher says of them, top_k tokens a row.
  std::optional<DistillationOptions> distillation = {};
  std::vector<HiddenPair> hidden_pairs = {};  // distillation->layers, with the teacher's width
  std::vector<double> exit_weights = {};      // what each exit counts in the loss; empty: 1 each
  double balance = 0;                         // what the balance of experts counts
  std::optional<RunnerLimits> writes = {};    // the model writes meanwhile: Trainer::runner()
  NestedWidths widths = {};                   // the narrower models inside
  std::vector<double> width_weights = {};     // what each counts in a step that trains it; empty: 1 each
  // Weights that are no parameters, which stay as they are and as they are stored; it outlives the trainer. Null: all
  // weights are parameters.
  const WeightSource* frozen = nullptr;
};

class Trainer {
 public:
  // `graph`: a model that gives logits. The parameters, the kernels and the pool outlive the trainer. kInvalidArgument
  // when an op on the way to the loss has no gradient, or the memory is too small.
  static Result<std::unique_ptr<Trainer>> make(const Graph& graph, Parameters& parameters, const CpuKernels& kernels,
                                               ThreadPool& pool, const TrainerOptions& options);

  void begin(int n_batches);
  // The batch's share of the step's loss, of the whole model. Its target_total is the step's, not the batch's. Not
  // finite: first_fault() says where that began.
  double accumulate(const Batch& batch);
  // The same of the narrower model that the step trains.
  struct NarrowLoss {
    int64_t width;
    double loss;
  };
  const std::optional<NarrowLoss>& narrow_loss() const { return narrow_loss_; }
  // What else the batch gave, as a share of the step's: "divergence", "balance", "expert_shares" ...; empty: there is
  // no such output.
  std::span<const float> metric(std::string_view name) { return context_->output(name); }
  double gradient_norm();  // of what was accumulated
  // Changes the weights. `norm`: gradient_norm().
  void apply(double learning_rate, double norm);

  // The mean loss of a batch, weights untouched.
  double evaluate(const Batch& batch);
  // Of the batch that was evaluated last, for each of exits(): its mean loss.
  double exit_loss(std::string_view exit) { return evaluation_->output("loss." + std::string(exit))[0]; }
  const std::vector<std::string>& exits() const { return exits_; }  // "exit.<layer>"
  // The same of the narrower model of options.widths.narrow[i].
  double evaluate_narrow(size_t i, const Batch& batch);
  const std::vector<int64_t>& widths() const { return options_.widths.narrow; }

  // Where numbers stop being finite with this batch: "after layer 3", "in the gradient of NAME", or empty.
  std::string first_fault(const Batch& batch);

  // What the model writes with, by the weights as they are between two steps. Null: options say nothing of it.
  Runner* runner() { return runner_.get(); }

  int64_t step() const { return step_; }  // applied so far
  void set_step(int64_t step) { step_ = step; }

  // What a checkpoint keeps beside the parameters: the optimizer's memory and the average, each as long as the
  // parameter. Empty for parameters without a gradient.
  struct Memory {
    std::vector<AlignedBuffer> optimizer;
    AlignedBuffer average;
  };
  std::vector<Memory>& memory() { return memory_; }
  bool keeps_average() const { return options_.average_decay > 0; }
  // After the parameters were changed by someone else.
  void refresh() {
    rounded_.round_all();
    binder_.refresh();
  }

  const Plan& plan() const { return context_->plan(); }
  const RecomputeChoice& recomputation() const { return recomputation_; }
  // Weights in all their forms, gradients, what the optimizer remembers, activations: all that a run writes here.
  uint64_t planned_bytes() const;
  double operations(const Batch& batch) const;  // that a pass of this step computes at least
  uint64_t passing_bytes() const;  // activations and gradients: what a step leaves nothing of

  // Where the time of steps goes from here on, and where it went: `tokens` in `seconds`.
  void measure();
  std::vector<ProfileRow> profile(int64_t tokens, double seconds) const;

 private:
  Trainer(Parameters& parameters, const CpuKernels& kernels, ThreadPool& pool, const TrainerOptions& options)
      : parameters_(parameters),
        kernels_(kernels),
        pool_(pool),
        options_(options),
        weights_(parameters, options.frozen),
        rounded_(parameters, weights_, kernels),
        binder_(rounded_, pool) {}
  // A narrower model (trainer_widths.cpp).
  struct Narrow {
    int64_t width = 0;
    double weight = 1;
    Graph backward;
    size_t number = 0;  // in gradients_
    std::unique_ptr<StepCost> cost;
    std::unique_ptr<ExecutionContext> context, evaluation;
  };
  const Narrow* narrow_of_step() const;  // null: there is none
  Status add_narrow_models();
  Status plan_narrow_models();
  uint64_t narrow_bytes() const;
  void accumulate_narrow(const Batch& batch);

  void update_parameters(double learning_rate, double norm);
  Status plan_graphs(const Graph& graph);
  int runs(int n_batches) const;                // of a step
  Graph with_losses(const Graph& graph) const;  // of the model and its exits
  Result<Graph> with_trained_loss(const Graph& graph) const;
  Result<Graph> differentiated(const Graph& graph) const;
  void reserve_memory(const Graph& backward);
  Status choose_recomputation(const Graph& backward);
  SymbolValues maxima() const;
  uint64_t workspace_bytes(const Plan& plan) const;  // of all threads
  uint64_t running_bytes(const Plan& plan) const;    // that a run writes
  uint64_t fixed_bytes(const Plan& backward) const;  // of planned_bytes(): without the activations of a step
  Graph lower(const Graph& graph);
  Graph lower_to_write();
  Result<std::shared_ptr<const Plan>> make_plan(const Graph& graph);
  // In the memory of `other` where there is one.
  Result<std::unique_ptr<ExecutionContext>> make_context(const Graph& graph, const ExecutionContext* other = nullptr);

  Parameters& parameters_;
  const CpuKernels& kernels_;
  ThreadPool& pool_;
  TrainerOptions options_;
  TrainedWeights weights_;
  RoundedParameters rounded_;
  WeightBinder binder_;
  const std::function<bool(const Node&)> is_trained_ = [this](const Node& weight) {
    return weights_.changes(weight.weight.parts[0].tensor);
  };
  Graph graph_;  // the model's, in fp32 where nothing is frozen
  std::vector<std::string> exits_;
  RecomputeChoice recomputation_;
  std::unique_ptr<ExecutionContext> context_;
  std::unique_ptr<ExecutionContext> evaluation_;
  std::unique_ptr<ModelRunner> runner_;
  std::unique_ptr<Gradients> gradients_;
  std::unique_ptr<StepCost> cost_;
  std::vector<Narrow> narrow_;
  std::optional<NarrowLoss> narrow_loss_;
  std::vector<Memory> memory_;
  int64_t step_ = 0;
  // Seconds of what a step does outside its graph, and passes through the graph; counted all the time.
  struct Spent {
    double adding = 0, narrow = 0, norm = 0, update = 0, packing = 0;
    int64_t passes = 0;
  };
  Spent spent_;
};

}  // namespace strata
