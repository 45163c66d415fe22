// Another run beside which this one is seen (recipe key run.beside): what its validation loss was at the same step, and
// how large its model is. It shows what sharing layers, fewer layers or a teacher cost and bring.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"

namespace strata {

class Beside {
 public:
  // kInvalidArgument: the folder has no log or no model of a run.
  static Result<Beside> open(const std::filesystem::path& folder);

  std::optional<double> validation_loss(int64_t step) const;
  // For people: both losses and both sizes.
  std::string summary(double validation_loss, int64_t parameters) const;

 private:
  std::filesystem::path folder_;
  std::map<int64_t, double> losses_;  // of validations, by step
  int64_t parameters_ = 0;
};

}  // namespace strata
