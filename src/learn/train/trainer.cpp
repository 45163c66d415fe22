#include "learn/train/trainer.h"

#include <algorithm>
#include <cmath>

#include "compute/graph/passes/add_balance_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/find_head.h"
#include "compute/graph/passes/fp32_weights.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/in_bfloat16.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/passes/pipeline.h"
#include "compute/kernels/float_mode.h"

namespace strata {
namespace {

constexpr int64_t kPiece = 16384;  // numbers that a thread updates at a time

// Adds the time of its life.
class Timed {
 public:
  explicit Timed(double& seconds) : seconds_(seconds), start_(steady_clock().now()) {}
  ~Timed() { seconds_ += to_seconds(steady_clock().now() - start_); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& seconds_;
  TimePoint start_;
};

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

std::span<float> numbers(const AlignedBuffer& buffer) {
  return {reinterpret_cast<float*>(buffer.data()), buffer.size() / sizeof(float)};
}

}  // namespace

Result<std::unique_ptr<Trainer>> Trainer::make(const Graph& graph, Parameters& parameters, const CpuKernels& kernels,
                                               ThreadPool& pool, const TrainerOptions& options) {
  auto trainer = std::unique_ptr<Trainer>(new Trainer(parameters, kernels, pool, options));
  RETURN_IF_ERROR(trainer->plan_graphs(graph));
  return trainer;
}

SymbolValues Trainer::maxima() const { return SymbolValues::all(options_.max_tokens); }

Graph Trainer::lower(const Graph& graph) {
  if (options_.precision == Precision::kFp32) return lower_for_segments(graph, kernels_);
  const Graph rounded = in_bfloat16(graph, [this](const WeightRef& ref) { return rounded_.is_rows(ref); });
  rounded_.keep(rounded);
  return fuse(lower_attention_segments(rounded));
}

// As the graph is trained, but with a cache: the head stays fp32.
Graph Trainer::lower_to_write() {
  constexpr DType kCache = DType::kF32;
  if (options_.precision == Precision::kFp32) return lower_for_inference(graph_, kernels_, kCache);
  const std::optional<ops::Head> head = find_head(graph_, graph_.find_output("logits"));
  const std::string of_head = head ? graph_.node(head->w).weight.parts[0].tensor : "";
  const Graph rounded = in_bfloat16(graph_, [&](const WeightRef& ref) {
    return rounded_.is_rows(ref) && ref.parts[0].tensor != of_head;
  });
  rounded_.keep(rounded);
  return fuse(lower_attention_paged(rounded, kCache));
}

Result<std::shared_ptr<const Plan>> Trainer::make_plan(const Graph& graph) {
  return Plan::make(lower(graph), kernels_, binder_, maxima());
}

Result<std::unique_ptr<ExecutionContext>> Trainer::make_context(const Graph& graph, const ExecutionContext* other) {
  ASSIGN_OR_RETURN(auto plan, make_plan(graph));
  if (other != nullptr) return std::make_unique<ExecutionContext>(std::move(plan), pool_, *other);
  return std::make_unique<ExecutionContext>(std::move(plan), pool_);
}

Status Trainer::plan_graphs(const Graph& graph) {
  if (options_.frozen != nullptr && options_.precision == Precision::kBf16) {
    return invalid_argument("run.precision: bf16 does not go with lora: the base keeps the precision of its file");
  }
  graph_ = options_.frozen == nullptr ? with_fp32_weights(graph) : graph;
  for (const NamedValue& exit : exits_of(graph_)) exits_.push_back(exit.name);
  const Graph loss = with_losses(graph_);
  cost_ = std::make_unique<StepCost>(loss, is_trained_);
  ASSIGN_OR_RETURN(const Graph backward, differentiated(graph_));
  gradients_ = std::make_unique<Gradients>(backward, parameters_);
  reserve_memory(backward);
  ASSIGN_OR_RETURN(evaluation_, make_context(loss));
  if (options_.writes) {
    ASSIGN_OR_RETURN(runner_, ModelRunner::make(lower_to_write(), binder_, kernels_, pool_, *options_.writes));
  }
  RETURN_IF_ERROR(add_narrow_models());
  RETURN_IF_ERROR(choose_recomputation(backward));
  ASSIGN_OR_RETURN(context_, make_context(recomputation_.graph));
  RETURN_IF_ERROR(plan_narrow_models());
  binder_.release_sources();
  return ok_status();
}

Graph Trainer::with_losses(const Graph& graph) const { return add_loss(graph, std::vector<double>(exits_.size(), 0)); }

Result<Graph> Trainer::differentiated(const Graph& graph) const {
  ASSIGN_OR_RETURN(const Graph trained, with_trained_loss(graph));
  return differentiate(trained, "loss", is_trained_);
}

// What is trained: the loss with all that is added to it.
Result<Graph> Trainer::with_trained_loss(const Graph& graph) const {
  std::vector<double> weights = options_.exit_weights;
  if (weights.empty()) weights.assign(exits_.size(), 1);
  if (weights.size() != exits_.size()) {
    return invalid_argument("loss.exits: " + std::to_string(weights.size()) + " weights, the model has " +
                            std::to_string(exits_.size()) + " exits (model.exits)");
  }
  if (!options_.distillation) return add_balance_loss(add_loss(graph, weights), options_.balance);
  const DistillationOptions& d = *options_.distillation;
  ASSIGN_OR_RETURN(const Graph heads, add_distillation_loss(graph, {d.temperature, d.weight, d.beta}, d.top_k, weights));
  ASSIGN_OR_RETURN(const Graph student, add_hidden_losses(heads, options_.hidden_pairs, d.layer_weight));
  return add_balance_loss(student, options_.balance);
}

void Trainer::reserve_memory(const Graph& backward) {
  memory_.resize(parameters_.all().size());
  for (const Node& node : backward.nodes()) {
    if (node.kind != NodeKind::kWeight || !backward.find_output("grad." + node.name).valid()) continue;
    for (const WeightPart& part : node.weight.parts) {
      const auto at = static_cast<size_t>(parameters_.index_of(part.tensor));
      const Parameter& parameter = parameters_.all()[at];
      Memory& memory = memory_[at];
      if (!memory.optimizer.empty()) continue;
      for (int i = 0; i < memory_of(options_.optimizer.kind); ++i)
        memory.optimizer.emplace_back(parameter.memory.size());
      if (!keeps_average()) continue;
      memory.average = AlignedBuffer(parameter.memory.size());
      std::copy(parameter.values().begin(), parameter.values().end(), numbers(memory.average).begin());
    }
  }
}

Status Trainer::choose_recomputation(const Graph& backward) {
  RecomputeRequest request;
  request.rule = options_.recompute;
  request.memory = options_.memory;
  request.maxima = maxima();
  // A token sees itself and half of the others before it, on average.
  request.context = static_cast<double>(options_.context > 0 ? options_.context : options_.max_tokens) / 2;
  request.lower = [this](const Graph& graph) { return lower(graph); };
  if (request.memory > 0) {  // binds the weights in all their forms, which are then known
    ASSIGN_OR_RETURN(const auto plan, make_plan(backward));
    request.fixed = fixed_bytes(*plan);
  }
  ASSIGN_OR_RETURN(recomputation_, choose_recompute(backward, request));
  return ok_status();
}

uint64_t Trainer::workspace_bytes(const Plan& plan) const {
  return static_cast<uint64_t>(pool_.n_threads()) * plan.workspace_bytes();
}

uint64_t Trainer::running_bytes(const Plan& plan) const { return plan.arena_bytes() + workspace_bytes(plan); }

uint64_t Trainer::fixed_bytes(const Plan& backward) const {
  uint64_t bytes = binder_.bound_bytes() + rounded_.bytes() + gradients_->sum_bytes(runs(options_.n_batches)) +
                   narrow_bytes() + running_bytes(evaluation_->plan()) + workspace_bytes(backward);
  if (runner_) bytes += runner_->cache_bytes() + running_bytes(runner_->plan());
  for (size_t i = 0; i < memory_.size(); ++i) {
    bytes += parameters_.all()[i].memory.size() + memory_[i].average.size();
    for (const AlignedBuffer& buffer : memory_[i].optimizer) bytes += buffer.size();
  }
  return bytes;
}

uint64_t Trainer::planned_bytes() const { return fixed_bytes(context_->plan()) + context_->plan().arena_bytes(); }

uint64_t Trainer::passing_bytes() const {
  return context_->plan().arena_bytes() + gradients_->sum_bytes(runs(options_.n_batches));
}

// A step runs each batch through the whole model and through a narrower one.
int Trainer::runs(int n_batches) const { return narrow_of_step() == nullptr ? n_batches : 2 * n_batches; }

void Trainer::begin(int n_batches) { gradients_->begin(runs(n_batches)); }

double Trainer::accumulate(const Batch& batch) {
  accumulate_narrow(batch);  // first: what the whole model gives is asked for later (metric())
  context_->run(batch);
  ++spent_.passes;
  const Timed timed(spent_.adding);
  gradients_->add(*context_, pool_);
  return context_->output("loss")[0];
}

double Trainer::gradient_norm() {
  const Timed timed(spent_.norm);
  return global_norm(*gradients_, parameters_.all().size(), pool_);
}

void Trainer::measure() {
  context_->measure_waves();
  spent_ = {};
}

std::vector<ProfileRow> Trainer::profile(int64_t tokens, double seconds) const {
  const SymbolValues sizes = SymbolValues::all(tokens);
  std::vector<ProfileRow> rows = strata::profile(*context_, sizes, static_cast<double>(spent_.passes), seconds);
  const std::pair<const char*, double> parts[] = {{"(outside) sums of gradients", spent_.adding},
                                                  {"(outside) narrower models", spent_.narrow},
                                                  {"(outside) norm of gradients", spent_.norm},
                                                  {"(outside) update of parameters", spent_.update},
                                                  {"(outside) packing of weights", spent_.packing}};
  for (const auto& [what, of_part] : parts) rows.push_back({what, of_part * pool_.n_threads(), of_part / seconds});
  return rows;
}

void Trainer::apply(double learning_rate, double norm) {
  ++step_;
  update_parameters(learning_rate, norm);
  const Timed timed(spent_.packing);
  binder_.refresh();
}

void Trainer::update_parameters(double learning_rate, double norm) {
  const Timed timed(spent_.update);
  const double scale = clip_factor(norm, options_.max_norm);
  struct Piece {
    size_t parameter, begin, size;
  };
  std::vector<Piece> pieces;
  for (size_t i = 0; i < memory_.size(); ++i) {
    const size_t size = gradients_->of(i).size();
    for (size_t at = 0; at < size; at += kPiece) pieces.push_back({i, at, std::min<size_t>(kPiece, size - at)});
  }
  pool_.parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end, int) {
    const ComputeFloatMode mode;
    for (int64_t i = begin; i < end; ++i) {
      const auto [parameter, at, size] = pieces[static_cast<size_t>(i)];
      const Memory& memory = memory_[parameter];
      UpdatePiece piece;
      piece.values = parameters_.all()[parameter].values().subspan(at, size);
      piece.gradient = gradients_->of(parameter).subspan(at, size);
      for (size_t m = 0; m < memory.optimizer.size(); ++m)
        piece.memory[m] = numbers(memory.optimizer[m]).subspan(at, size);
      piece.decays = decays(options_.optimizer, parameters_.all()[parameter].shape);
      update(kernels_, options_.optimizer, step_, learning_rate, scale, piece);
      rounded_.round(parameter, at, size);
      if (keeps_average())
        update_average(numbers(memory.average).subspan(at, size), piece.values, options_.average_decay);
    }
  });
}

double Trainer::evaluate(const Batch& batch) {
  evaluation_->run(batch);
  return evaluation_->output("loss")[0];
}

std::string Trainer::first_fault(const Batch& batch) {
  Graph tapped = graph_;
  tapped.outputs().clear();
  for (const NamedValue& tap : graph_.taps()) tapped.add_output(tap.name, tap.value);
  if (auto context = make_context(prune(tapped)); context.ok()) {
    (*context)->run(batch);
    for (const NamedValue& tap : tapped.outputs()) {
      if (all_finite((*context)->output(tap.name))) continue;
      const bool is_layer = tap.name.starts_with("layer.");
      if (tap.name.starts_with("exit.")) return "at the exit after layer " + tap.name.substr(5);
      return is_layer ? "after layer " + tap.name.substr(6) : "in the final hidden states";
    }
  }
  begin(1);
  if (!std::isfinite(accumulate(batch))) return "in the loss";
  for (size_t i = 0; i < memory_.size(); ++i) {
    if (!all_finite(gradients_->of(i))) return "in the gradient of " + parameters_.all()[i].name;
  }
  return {};
}

}  // namespace strata
