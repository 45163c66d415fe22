#include "learn/train/beside.h"

#include <fmt/format.h>

#include "learn/train/run_log.h"
#include "model/format/safetensors.h"

namespace strata {

Result<Beside> Beside::open(const std::filesystem::path& folder) {
  Beside beside;
  beside.folder_ = folder;
  for (const StepLog& line : RunLog::read(folder / "log.jsonl")) {
    if (line.validation_loss) beside.losses_[line.step] = *line.validation_loss;
  }
  if (beside.losses_.empty())
    return invalid_argument(folder.string() + ": no log of a run that validates (give the folder of a finished run)");
  ASSIGN_OR_RETURN(const SafetensorsFile weights, SafetensorsFile::open(folder / "model.safetensors"));
  for (const SafetensorsTensor& tensor : weights.tensors()) {
    int64_t count = 1;
    for (const int64_t n : tensor.shape) count *= n;
    beside.parameters_ += count;
  }
  return beside;
}

std::optional<double> Beside::validation_loss(int64_t step) const {
  const auto at = losses_.find(step);
  return at == losses_.end() ? std::nullopt : std::optional(at->second);
}

std::string Beside::summary(double validation_loss, int64_t parameters) const {
  const double other = losses_.rbegin()->second;
  return fmt::format("validation loss {:.4f} with {:.2f} M parameters; {}: {:.4f} with {:.2f} M ({:+.4f}, {:+.0f} %)",
                     validation_loss, static_cast<double>(parameters) / 1e6, folder_.string(), other,
                     static_cast<double>(parameters_) / 1e6, validation_loss - other,
                     (static_cast<double>(parameters) / static_cast<double>(parameters_) - 1) * 100);
}

}  // namespace strata
