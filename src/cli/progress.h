// A progress bar on stderr, only when that is a terminal.
#pragma once

#include <string>

#include "base/clock.h"

namespace strata::cli {

class Progress {
 public:
  Progress(std::string label, double total);
  ~Progress();               // clears the line
  void update(double done);  // draws at most ten times a second

 private:
  std::string label_;
  double total_;
  bool terminal_;
  TimePoint start_;
  TimePoint drawn_{};
};

}  // namespace strata::cli
