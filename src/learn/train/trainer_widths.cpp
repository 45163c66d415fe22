// Trainer: the narrower models inside the one that is trained. Each is the same graph at its width (pass select_width),
// with the same losses, over the same parameters: its gradients are added where its references point to.
#include "compute/graph/passes/recompute.h"
#include "learn/train/trainer.h"
#include "model/width.h"

namespace strata {

Status Trainer::add_narrow_models() {
  const std::vector<int64_t>& widths = options_.widths.narrow;
  std::vector<double> weights = options_.width_weights;
  if (weights.empty()) weights.assign(widths.size(), 1);
  if (weights.size() != widths.size()) {
    return invalid_argument("loss.widths: " + std::to_string(weights.size()) + " weights, the model has " +
                            std::to_string(widths.size()) + " narrower ones inside (model.widths)");
  }
  for (size_t i = 0; i < widths.size(); ++i) {
    Narrow narrow;
    narrow.width = widths[i];
    narrow.weight = weights[i];
    ASSIGN_OR_RETURN(const Graph graph, graph_at_width(graph_, options_.widths, narrow.width));
    const Graph loss = with_losses(graph);
    narrow.cost = std::make_unique<StepCost>(loss, is_trained_);
    ASSIGN_OR_RETURN(narrow.evaluation, make_context(loss, evaluation_.get()));
    ASSIGN_OR_RETURN(narrow.backward, differentiated(graph));
    narrow.number = gradients_->include(narrow.backward);
    if (options_.memory > 0) RETURN_IF_ERROR(make_plan(narrow.backward).status());  // binds its slices, which count
    narrow_.push_back(std::move(narrow));
  }
  return ok_status();
}

// After the whole model, in its memory: what recomputes as much takes less.
Status Trainer::plan_narrow_models() {
  for (Narrow& narrow : narrow_) {
    ASSIGN_OR_RETURN(narrow.context, make_context(recompute(narrow.backward, recomputation_.of_layer), context_.get()));
    narrow.backward = {};
  }
  return ok_status();
}

// Where the memory of the whole model was not enough.
uint64_t Trainer::narrow_bytes() const {
  uint64_t bytes = 0;
  const auto add = [&](const std::unique_ptr<ExecutionContext>& context, const ExecutionContext& whole) {
    if (context != nullptr && !context->shares_memory_with(whole)) bytes += running_bytes(context->plan());
  };
  for (const Narrow& narrow : narrow_) {
    add(narrow.evaluation, *evaluation_);
    if (context_ != nullptr) add(narrow.context, *context_);
  }
  return bytes;
}

// One of those that count, in turn: a function of the step's number, so that a run goes on as it would have.
const Trainer::Narrow* Trainer::narrow_of_step() const {
  std::vector<const Narrow*> trained;
  for (const Narrow& narrow : narrow_) {
    if (narrow.weight > 0) trained.push_back(&narrow);
  }
  return trained.empty() ? nullptr : trained[static_cast<size_t>(step_) % trained.size()];
}

void Trainer::accumulate_narrow(const Batch& batch) {
  const Narrow* narrow = narrow_of_step();
  narrow_loss_.reset();
  if (narrow == nullptr) return;
  const TimePoint start = steady_clock().now();
  narrow->context->run(batch);
  narrow_loss_ = NarrowLoss{narrow->width, narrow->context->output("loss")[0]};
  gradients_->add(*narrow->context, pool_, narrow->number, narrow->weight);
  spent_.narrow += to_seconds(steady_clock().now() - start);
}

double Trainer::evaluate_narrow(size_t i, const Batch& batch) {
  narrow_[i].evaluation->run(batch);
  return narrow_[i].evaluation->output("loss")[0];
}

double Trainer::operations(const Batch& batch) const {
  const Narrow* narrow = narrow_of_step();
  return cost_->operations(batch) + (narrow == nullptr ? 0 : narrow->cost->operations(batch));
}

}  // namespace strata
