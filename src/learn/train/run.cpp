#include "learn/train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/hash.h"
#include "base/machine_memory.h"
#include "compute/kernels/ceilings.h"
#include "learn/data/packed_batch.h"
#include "learn/train/beside.h"
#include "learn/train/new_model.h"
#include "learn/train/on_policy.h"
#include "learn/train/run_checkpoint.h"
#include "learn/train/run_folder.h"
#include "learn/train/run_model.h"
#include "learn/train/step_metrics.h"
#include "learn/train/teacher.h"
#include "model/format/quantize.h"
#include "model/weights_identity.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
constexpr const char* kCheckpoint = "checkpoint.safetensors";
constexpr const char* kRecipe = "recipe.yaml";

class Run {
 public:
  Run(const Recipe& recipe, const CpuKernels& kernels, ThreadPool& pool, const RunOptions& options, RunFolder folder,
      Corpus corpus)
      : recipe_(recipe),
        kernels_(kernels),
        pool_(pool),
        options_(options),
        folder_(std::move(folder)),
        corpus_(std::move(corpus)) {}

  Result<RunResult> run() {
    RETURN_IF_ERROR(prepare());
    ASSIGN_OR_RETURN(RunLog log, RunLog::open(folder_.file("log.jsonl"), state_.step));
    const StreamOptions data{recipe_.seed, true, recipe_.group_blocks, recipe_.held_out, false, chat_template()};
    ASSIGN_OR_RETURN(DocumentStream stream,
                     DocumentStream::open(corpus_, *model_->tokenizer, pool_, data, state_.position));
    const TimePoint start = steady_clock().now();
    const int64_t first = state_.step;
    while (state_.step < recipe_.schedule.steps) {
      const TimePoint begin = steady_clock().now();
      ASSIGN_OR_RETURN(StepLog line, step(stream));
      line.seconds = to_seconds(steady_clock().now() - begin);
      if (state_.step > first + 1) measured_ += line.seconds;
      if (options_.profiles && state_.step == first + 1) measure();
      const double seconds = to_seconds(steady_clock().now() - start);
      const auto done = static_cast<double>(state_.step - first);
      line.tokens_per_second = static_cast<double>(tokens_) / std::max(seconds, 1e-9);
      line.fraction_of_peak = peak_ > 0 ? operations_ / std::max(seconds, 1e-9) / peak_ : 0;
      RETURN_IF_ERROR(log.add(line));
      const auto left = static_cast<double>(recipe_.schedule.steps - state_.step);
      if (options_.on_step) options_.on_step({line, recipe_.schedule.steps, seconds / done * left});
      if (is_time(recipe_.checkpoint_every)) RETURN_IF_ERROR(checkpoint(log));
    }
    RunResult result;
    result.steps = state_.step;
    result.parameters = n_parameters_;
    if (options_.profiles && state_.step > first + 1) result.profile = profile();
    RETURN_IF_ERROR(finish(log));
    if (!log.lines().empty()) {
      result.loss = log.lines().back().loss;
      result.validation_loss = log.lines().back().validation_loss.value_or(0);
    }
    return result;
  }

 private:
  Status prepare() {
    if (!recipe_.beside.empty()) {
      ASSIGN_OR_RETURN(beside_, Beside::open(recipe_.beside));
    }
    ASSIGN_OR_RETURN(RunModel model, prepare_model(recipe_, corpus_, folder_, pool_, options_.on_tokenizer));
    model_ = std::make_unique<RunModel>(std::move(model));
    n_parameters_ = model_->parameters.count();
    TrainerOptions options;
    options.max_tokens = recipe_.micro_tokens;
    options.optimizer = recipe_.optimizer;
    options.precision = recipe_.precision;
    options.max_norm = recipe_.max_norm;
    options.average_decay = recipe_.average_decay;
    options.n_batches = static_cast<int>(recipe_.batch_tokens / recipe_.micro_tokens);
    options.context = recipe_.context;
    options.recompute = recipe_.recompute;
    options.memory = options_.memory;
    options.exit_weights = recipe_.exit_weights;
    options.balance = recipe_.balance;
    options.width_weights = recipe_.width_weights;
    if (!recipe_.lora) options.widths = model_->built.config.widths;  // an adapter is of the whole model
    RETURN_IF_ERROR(open_teacher(options));
    if (model_->base != nullptr) options.frozen = &model_->base->weights;
    ASSIGN_OR_RETURN(trainer_, Trainer::make(model_->built.graph, model_->parameters, kernels_, pool_, options));
    if (trainer_->planned_bytes() > machine_memory()) {
      return invalid_argument(fmt::format(
          "this run plans {} bytes, the machine has {} (lower run.micro_tokens, set run.recompute, or give --memory)",
          trainer_->planned_bytes(), machine_memory()));
    }
    state_.origin = origin();
    if (options_.resumes && folder_.has(kCheckpoint)) {
      ASSIGN_OR_RETURN(state_,
                       load_checkpoint(folder_.file(kCheckpoint), state_.origin, model_->parameters, *trainer_));
      say(fmt::format("going on after step {}", state_.step));
    }
    RETURN_IF_ERROR(write_text(folder_.file(kRecipe), recipe_.text));
    if (!model_->config.empty()) RETURN_IF_ERROR(write_text(folder_.file("config.json"), model_->config));
    RETURN_IF_ERROR(read_validation());
    const auto ceiling = [this](auto figure) { return 1e9 * arithmetic_ceiling(kernels_, pool_.n_threads(), figure); };
    if (recipe_.precision == Precision::kBf16) peak_ = ceiling(&Ceilings::bf16_gops);
    if (peak_ <= 0) peak_ = ceiling(&Ceilings::fp32_gops);  // also where the processor has no such instruction
    say(fmt::format("{:.2f} M parameters, {} tokens in the vocabulary, {} steps of {} tokens; activations and gradients "
                    "{:.1f} MiB",
                    static_cast<double>(n_parameters_) / 1e6, model_->tokenizer->vocab_size(),
                    recipe_.schedule.steps, recipe_.batch_tokens,
                    static_cast<double>(trainer_->passing_bytes()) / (1 << 20)));
    if (trainer_->recomputation().recomputes() || options_.memory > 0) {
      say(fmt::format("{}; {:.1f} MiB planned in all", trainer_->recomputation().summary(),
                      static_cast<double>(trainer_->planned_bytes()) / (1 << 20)));
    }
    return ok_status();
  }

  Status open_teacher(TrainerOptions& options) {
    if (!recipe_.distillation) return ok_status();
    auto teacher = Teacher::open(*recipe_.distillation, *model_->tokenizer, model_->built.config.vocab, kernels_, pool_,
                                 recipe_.micro_tokens);
    if (!teacher.ok()) return teacher.status().with_context("distill.teacher");
    teacher_ = *std::move(teacher);
    options.distillation = recipe_.distillation;
    options.distillation->top_k = teacher_->top_k();
    if (const OnPolicyOptions& own = recipe_.distillation->on_policy; own.share > 0) {
      const int64_t n_batches = recipe_.batch_tokens / recipe_.micro_tokens;
      ASSIGN_OR_RETURN(on_policy_, OnPolicy::make(own, {n_batches, recipe_.micro_tokens, recipe_.context}, recipe_.seed));
      options.writes = on_policy_->limits(model_->built.config);
    }
    if (options.memory > 0) options.memory -= std::min(options.memory - 1, teacher_->bytes());
    const auto& layers = options.distillation->layers;
    for (size_t i = 0; i < layers.size(); ++i) {
      options.hidden_pairs.push_back({layers[i].first, teacher_->width()});
      if (teacher_->width() == model_->built.config.hidden) continue;
      if (recipe_.lora)
        return invalid_argument("distill.layers: an adapter's teacher must be as wide as its base (leave layers out)");
      Parameter& projection =
          model_->parameters.add(hidden_projection(i), {teacher_->width(), model_->built.config.hidden});
      draw_numbers(projection, {recipe_.seed, recipe_.initial_deviation});
    }
    return ok_status();
  }

  // What decides the numbers of a run beside the code: another recipe, corpus or teacher would go elsewhere.
  std::string origin() const {
    std::string text = recipe_.text;
    for (const Corpus::File& file : corpus_.files())
      text += "\n" + file.path.filename().string() + " " + std::to_string(file.size);
    if (teacher_) text += "\n" + hash_weight_contents(teacher_->model().checkpoint(), pool_).hex();
    return hash_bytes(std::as_bytes(std::span(text))).hex();
  }

  const ChatTemplate* chat_template() const { return model_->chat_template ? &*model_->chat_template : nullptr; }

  // The held-out batches, the same ones each time.
  Status read_validation() {
    if (recipe_.held_out <= 0) return ok_status();
    const StreamOptions data{recipe_.seed, false, recipe_.group_blocks, recipe_.held_out, true, chat_template()};
    ASSIGN_OR_RETURN(DocumentStream stream, DocumentStream::open(corpus_, *model_->tokenizer, pool_, data));
    for (int64_t left = recipe_.validation_tokens; left > 0;) {
      PackedBatch batch;
      const Status status = batch.fill(stream, std::min(left, recipe_.micro_tokens), recipe_.context, true);
      if (!status.ok() && validation_.empty() && batch.n_targets() == 0) {
        say("nothing is held out for validation: the corpus is too small");
        return ok_status();
      }
      RETURN_IF_ERROR(status);
      if (batch.n_targets() == 0) break;
      left -= batch.n_targets();
      validation_.push_back(std::move(batch));
      if (stream.position().epoch > 0) break;
    }
    return ok_status();
  }

  void validate(StepLog& line) {
    double sum = 0, count = 0;
    std::vector<double> of_exits(trainer_->exits().size()), of_widths(trainer_->widths().size());
    for (const PackedBatch& batch : validation_) {
      const auto n = static_cast<double>(batch.n_targets());
      sum += trainer_->evaluate(batch.batch()) * n;
      for (size_t i = 0; i < of_exits.size(); ++i) of_exits[i] += trainer_->exit_loss(trainer_->exits()[i]) * n;
      for (size_t i = 0; i < of_widths.size(); ++i) of_widths[i] += trainer_->evaluate_narrow(i, batch.batch()) * n;
      count += n;
    }
    line.validation_loss = sum / count;
    for (size_t i = 0; i < of_exits.size(); ++i)
      line.more.emplace_back("validation_loss." + trainer_->exits()[i], of_exits[i] / count);
    for (size_t i = 0; i < of_widths.size(); ++i)
      line.more.emplace_back("validation_loss.width." + std::to_string(trainer_->widths()[i]), of_widths[i] / count);
    if (!beside_) return;
    if (const auto other = beside_->validation_loss(line.step))
      line.more.emplace_back("validation_loss_beside", *other);
    if (line.step == recipe_.schedule.steps)
      say(beside_->summary(*line.validation_loss, n_parameters_));
  }

  // The step's batches: the corpus, and what the model writes itself.
  Status fill_batches(DocumentStream& stream, int64_t step) {
    batches_.resize(static_cast<size_t>(recipe_.batch_tokens / recipe_.micro_tokens));
    if (on_policy_) {
      const Status written = on_policy_->write(*trainer_->runner(), *model_->tokenizer, stream, step);
      if (!written.ok()) return written.with_context("step " + std::to_string(step) + ", while the student writes");
    }
    const int64_t tokens = on_policy_ ? on_policy_->corpus_tokens() : recipe_.micro_tokens;
    for (size_t i = 0; i < batches_.size(); ++i) {
      RETURN_IF_ERROR(batches_[i].fill(stream, tokens, recipe_.context));
      if (on_policy_) on_policy_->add_to(batches_[i], static_cast<int64_t>(i));
    }
    return ok_status();
  }

  Result<StepLog> step(DocumentStream& stream) {
    StepLog line;
    line.step = state_.step + 1;
    line.learning_rate = learning_rate(recipe_.schedule, line.step);
    RETURN_IF_ERROR(fill_batches(stream, line.step));
    int64_t targets = 0, tokens = 0;
    for (const PackedBatch& batch : batches_) {
      targets += batch.n_targets();
      tokens += batch.n_tokens();
    }
    trainer_->begin(static_cast<int>(batches_.size()));
    Batch part;
    StepMetrics metrics;
    for (const PackedBatch& batch : batches_) {
      part = batch.batch();
      part.target_total = static_cast<double>(targets);
      part.token_total = static_cast<double>(tokens);
      if (teacher_) teacher_->teach(part);
      if (on_policy_) part.teacher_shares = on_policy_->shares(batch, recipe_.distillation->weight);
      const double loss = trainer_->accumulate(part);
      operations_ += trainer_->operations(part);
      if (!std::isfinite(loss)) return not_finite(line.step, part);
      line.loss += loss;
      metrics.add(*trainer_, batch);
    }
    line.gradient_norm = trainer_->gradient_norm();
    if (!std::isfinite(line.gradient_norm)) return not_finite(line.step, part);
    trainer_->apply(line.learning_rate, line.gradient_norm);
    tokens_ += tokens;
    state_.step = line.step;
    state_.position = stream.position();
    metrics.write(line);
    if (!validation_.empty() && is_time(recipe_.validate_every)) validate(line);
    return line;
  }

  void measure() {
    trainer_->measure();
    if (on_policy_) on_policy_->measure();
    tokens_before_ = tokens_;
  }

  std::vector<ProfileRow> profile() const {
    std::vector<ProfileRow> rows = trainer_->profile(tokens_ - tokens_before_, measured_);
    if (on_policy_) {
      const double seconds = on_policy_->seconds();
      rows.push_back({"(outside) texts that the student writes", seconds * pool_.n_threads(), seconds / measured_});
    }
    return rows;
  }

  bool is_time(int64_t every) const { return state_.step % every == 0 || state_.step == recipe_.schedule.steps; }

  Status not_finite(int64_t step, const Batch& batch) {
    const std::string where = trainer_->first_fault(batch);
    const std::string kept = folder_.has(kCheckpoint) ? "the last checkpoint is kept" : "there is no checkpoint yet";
    const char* advice = step == 1
                             ? "nothing was learned yet: look at the model's base, or initializer_range and epsilons"
                             : "lower schedule.peak, warm up longer or clip harder";
    return invalid_argument(fmt::format("step {}: numbers are not finite any more, first {} ({}; {})", step,
                                        where.empty() ? "in the sum of several batches" : where, kept, advice));
  }

  Status checkpoint(const RunLog& log) {
    RETURN_IF_ERROR(save_checkpoint(folder_.file(kCheckpoint), state_, model_->parameters, *trainer_));
    return write_text(folder_.file("loss.svg"), loss_svg(log.lines()));
  }

  Status finish(const RunLog& log) {
    RETURN_IF_ERROR(write_text(folder_.file("loss.svg"), loss_svg(log.lines())));
    if (model_->base != nullptr) {
      return save_adapter(folder_.path(), model_->adapters, model_->base->checkpoint, *recipe_.lora,
                          result_numbers(model_->parameters, *trainer_));
    }
    RETURN_IF_ERROR(save_weights(folder_.file("model.safetensors"), model_->parameters, *trainer_));
    const GgufFile* tokenizer = model_->gguf == nullptr ? nullptr : model_->gguf->gguf();
    const Result<QuantizeResult> gguf =
        quantize_file(folder_.path(), folder_.file("model.gguf"), "F16", pool_, {}, nullptr, tokenizer);
    if (tokenizer != nullptr && !folder_.has("tokenizer.json"))
      say("the base has no tokenizer.json: of the two forms of the model, model.gguf alone has a tokenizer");
    return gguf.ok() ? ok_status() : gguf.status().with_context("model.gguf");
  }

  void say(const std::string& line) const {
    if (options_.on_message) options_.on_message(line);
  }

  const Recipe& recipe_;
  const CpuKernels& kernels_;
  ThreadPool& pool_;
  const RunOptions& options_;
  RunFolder folder_;
  Corpus corpus_;
  std::unique_ptr<RunModel> model_;
  int64_t n_parameters_ = 0;  // of the model; training may have more
  std::unique_ptr<Teacher> teacher_;  // null: none
  std::optional<OnPolicy> on_policy_;
  std::optional<Beside> beside_;
  std::unique_ptr<Trainer> trainer_;
  RunState state_;
  std::vector<PackedBatch> validation_, batches_;  // of a step
  int64_t tokens_ = 0;         // of the steps so far
  int64_t tokens_before_ = 0;  // until measuring began
  double peak_ = 0;        // operations per second of this machine
  double operations_ = 0;  // of the steps so far
  double measured_ = 0;    // seconds of the steps but the first
};

Result<Corpus> open_corpus(const Recipe& recipe) {
  Result<Corpus> corpus = Corpus::open(recipe.corpus);
  if (corpus.ok() || corpus.status().code() != Code::kNotFound) return corpus;
  const std::string folder = recipe.folder.empty() ? "." : recipe.folder.string();
  return not_found("data.paths: " + corpus.status().message() + " (paths of a recipe are relative to its own folder, " +
                   folder + "; where its comments say how its data is made, do that first, else correct the path)");
}

}  // namespace

Result<RunResult> run_training(const Recipe& recipe, const CpuKernels& kernels, ThreadPool& pool,
                               const RunOptions& options) {
  ASSIGN_OR_RETURN(Corpus corpus, open_corpus(recipe));
  ASSIGN_OR_RETURN(RunFolder folder, RunFolder::open(options.out));
  if (!options.resumes && folder.has(kRecipe)) {
    return invalid_argument(options.out.string() +
                            ": the folder has a run already (give --resume to go on with it, or another --out)");
  }
  return Run(recipe, kernels, pool, options, std::move(folder), std::move(corpus)).run();
}

}  // namespace strata
