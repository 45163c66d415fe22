#include "learn/train/teacher.h"

#include <algorithm>

#include "compute/graph/passes/add_loss.h"
#include "compute/graph/passes/pipeline.h"

namespace strata {
namespace {

Status other_tokenizer(const Tokenizer& teacher, const Tokenizer& student) {
  const std::string hint =
      " (a teacher needs the student's tokenizer: give the student the teacher's folder as "
      "tokenizer.path)";
  if (teacher.vocab_size() != student.vocab_size()) {
    return invalid_argument("the teacher's tokenizer has " + std::to_string(teacher.vocab_size()) +
                            " tokens, the student's " + std::to_string(student.vocab_size()) + hint);
  }
  for (TokenId id = 0; id < student.vocab_size(); ++id) {
    if (teacher.piece(id, true) == student.piece(id, true)) continue;
    return invalid_argument("token " + std::to_string(id) + " is \"" + std::string(teacher.piece(id, true)) +
                            "\" for the teacher, \"" + std::string(student.piece(id, true)) + "\" for the student" +
                            hint);
  }
  return ok_status();
}

}  // namespace

Result<std::unique_ptr<Teacher>> Teacher::open(const DistillationOptions& options, const Tokenizer& tokenizer,
                                               int64_t vocab, const CpuKernels& kernels, ThreadPool& pool,
                                               int64_t max_tokens) {
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::load(options.teacher));
  if (model->tokenizer() == nullptr) return model->tokenizer_status();
  if (!model->graph().find_output("logits").valid())
    return invalid_argument(options.teacher.string() + ": this model gives no logits: it cannot teach");
  RETURN_IF_ERROR(other_tokenizer(*model->tokenizer(), tokenizer));
  if (model->config().vocab != vocab) {
    return invalid_argument("the teacher gives " + std::to_string(model->config().vocab) +
                            " logits, the student's vocab_size is " + std::to_string(vocab) + " (make it the same)");
  }
  auto teacher = std::unique_ptr<Teacher>(new Teacher(std::move(model), pool));
  teacher->top_k_ = std::min(options.top_k, vocab);
  std::vector<int64_t> layers;
  for (const auto& [student_layer, layer] : options.layers) layers.push_back(layer);
  teacher->hidden_.resize(layers.size());
  ASSIGN_OR_RETURN(const Graph graph,
                   keep_top_tokens(teacher->model_->graph(), teacher->top_k_, options.temperature, layers));
  ASSIGN_OR_RETURN(auto plan, Plan::make(lower_for_segments(graph, kernels), kernels, teacher->binder_,
                                         SymbolValues::all(max_tokens)));
  teacher->binder_.release_sources();
  teacher->context_ = std::make_unique<ExecutionContext>(std::move(plan), pool);
  return teacher;
}

void Teacher::teach(Batch& batch) {
  context_->run(batch);
  batch.teacher_ids = context_->output_integers("teacher_ids");
  batch.teacher_probabilities = context_->output("teacher_probabilities");
  for (size_t i = 0; i < hidden_.size(); ++i) hidden_[i] = context_->output("teacher_hidden." + std::to_string(i));
  batch.teacher_hidden = hidden_;
}

}  // namespace strata
