// What a run writes of itself: a line of JSON a step (log.jsonl), and the losses as a picture (loss.svg).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace strata {

struct StepLog {
  int64_t step = 0;
  double loss = 0;
  double learning_rate = 0;
  double gradient_norm = 0;
  double tokens_per_second = 0;  // since the start, or since the run was resumed
  double fraction_of_peak = 0;   // operations of the steps per second, of what the machine can (0: not known)
  double seconds = 0;            // of this step
  std::optional<double> validation_loss = {};
  std::vector<std::pair<std::string, double>> more = {};  // what this run measures beside: name and value
};

class RunLog {
 public:
  // Goes on after `step`: later lines of a run that was killed are dropped.
  static Result<RunLog> open(const std::filesystem::path& path, int64_t step);
  // The lines of a log, as far as they are whole.
  static std::vector<StepLog> read(const std::filesystem::path& path);

  Status add(const StepLog& line);
  const std::vector<StepLog>& lines() const { return lines_; }

 private:
  std::filesystem::path path_;
  std::vector<StepLog> lines_;
};

// A curve of the training loss and points of the validation loss.
std::string loss_svg(const std::vector<StepLog>& lines);

}  // namespace strata
