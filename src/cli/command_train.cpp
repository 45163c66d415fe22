#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/profile_table.h"
#include "cli/progress.h"
#include "cli/runtime.h"
#include "learn/train/run.h"

namespace strata::cli {
namespace {

// One line that is drawn again on a terminal; elsewhere a line for every tenth of the run.
class TrainingProgress {
 public:
  void show(const RunProgress& progress) {
    const StepLog& now = progress.now;
    const bool is_last = now.step == progress.steps;
    const int64_t tenth = now.step * 10 / progress.steps;
    if (!terminal_ && tenth == shown_ && !is_last) return;
    shown_ = tenth;
    if (now.validation_loss) validation_ = *now.validation_loss;
    std::fprintf(stderr, "%sstep %lld/%lld  loss %.4f", terminal_ ? "\r\033[K" : "", static_cast<long long>(now.step),
                 static_cast<long long>(progress.steps), now.loss);
    if (validation_ > 0) std::fprintf(stderr, "  validation %.4f", validation_);
    std::fprintf(stderr, "  %.0f tokens/s  %.0f %% of peak  %.0f s left%s", now.tokens_per_second,
                 now.fraction_of_peak * 100, progress.seconds_left, terminal_ && !is_last ? "" : "\n");
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  int64_t shown_ = -1;
  double validation_ = 0;
};

}  // namespace

Status train_command(const Settings& settings, const Arguments& arguments) {
  if (settings.out.empty()) return invalid_argument("train: no folder for the model (give --out DIR)");
  ASSIGN_OR_RETURN(const Recipe recipe, read_recipe(arguments[0]));
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  ASSIGN_OR_RETURN(const std::vector<WorkerPlace> places, compute_places(settings));
  ThreadPool pool(places);
  TrainingProgress progress;
  RunOptions options;
  options.out = settings.out;
  options.resumes = settings.resume;
  options.memory = settings.memory;
  options.profiles = settings.profile;
  std::optional<Progress> tokenizer;
  options.on_tokenizer = [&](double share) {
    if (!tokenizer) tokenizer.emplace("train: tokenizer", 1);
    tokenizer->update(share);
  };
  options.on_message = [&](const std::string& line) {
    tokenizer.reset();  // it is trained before anything is said
    std::fprintf(stderr, "train: %s\n", line.c_str());
  };
  options.on_step = [&](const RunProgress& step) { progress.show(step); };
  ASSIGN_OR_RETURN(const RunResult result, run_training(recipe, *kernels, pool, options));
  std::printf("%s\n", nlohmann::ordered_json{{"out", settings.out},
                                             {"steps", result.steps},
                                             {"parameters", result.parameters},
                                             {"loss", result.loss},
                                             {"validation_loss", result.validation_loss}}
                          .dump()
                          .c_str());
  if (settings.profile) print_profile(profile_json(result.profile));
  return ok_status();
}

}  // namespace strata::cli
