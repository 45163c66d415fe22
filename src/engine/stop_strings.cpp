#include "engine/stop_strings.h"

#include <algorithm>

namespace strata {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
  for (const std::string& stop : stops_) {
    std::vector<size_t> border(stop.size() + 1, 0);
    for (size_t i = 1, length = 0; i < stop.size(); ++i) {
      while (length > 0 && stop[i] != stop[length]) length = border[length];
      if (stop[i] == stop[length]) ++length;
      border[i + 1] = length;
    }
    failure_.push_back(std::move(border));
  }
  matched_.assign(stops_.size(), 0);
}

void StopStrings::advance(size_t stop, char c) {
  const std::string& pattern = stops_[stop];
  size_t& length = matched_[stop];
  while (length > 0 && pattern[length] != c) length = failure_[stop][length];
  if (pattern[length] == c) ++length;
}

std::optional<size_t> StopStrings::push(std::string_view text, std::string& out) {
  for (const char c : text) {
    held_.push_back(c);
    std::optional<size_t> found;
    for (size_t stop = 0; stop < stops_.size(); ++stop) {
      advance(stop, c);
      const bool complete = matched_[stop] == stops_[stop].size();
      if (complete && (!found || stops_[stop].size() > stops_[*found].size())) found = stop;
    }
    if (found) {
      out.append(held_, 0, held_.size() - stops_[*found].size());
      held_.clear();
      return found;
    }
  }
  const size_t keep = matched_.empty() ? 0 : *std::max_element(matched_.begin(), matched_.end());
  out.append(held_, 0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return std::nullopt;
}

void StopStrings::finish(std::string& out) {
  out += held_;
  held_.clear();
}

}  // namespace strata
