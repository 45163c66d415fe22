#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace strata::cli {

Progress::Progress(std::string label, double total)
    : label_(std::move(label)), total_(total), terminal_(::isatty(STDERR_FILENO) == 1), start_(steady_clock().now()) {}

Progress::~Progress() {
  if (terminal_ && drawn_ != TimePoint{}) std::fputs("\r\033[K", stderr);
}

void Progress::update(double done) {
  const TimePoint now = steady_clock().now();
  if (!terminal_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const double share = total_ > 0 ? std::clamp(done / total_, 0.0, 1.0) : 0;
  const double left = share > 0 ? to_seconds(now - start_) * (1 - share) / share : 0;
  const auto filled = static_cast<size_t>(share * 30);
  std::fprintf(stderr, "\r%s [%s%s] %3.0f %%  %.0f s left ", label_.c_str(), std::string(filled, '#').c_str(),
               std::string(30 - filled, '.').c_str(), share * 100, left);
}

}  // namespace strata::cli
