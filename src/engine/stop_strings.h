// Watches a growing text for stop strings, wherever token borders fall. Text that may still become a stop string is
// held back; nothing of a stop string is ever given out. The result does not depend on how the text was cut into
// pieces: the stop string that ends first wins, the longest where several end together (Knuth-Morris-Pratt, one state
// per string).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // empty strings are ignored

  // Appends to `out` what is certain. The index of the stop string that was completed, if any: then the text is over.
  std::optional<size_t> push(std::string_view text, std::string& out);
  // The text ends here without a stop string: appends what was held back.
  void finish(std::string& out);

  const std::string& stop(size_t index) const { return stops_[index]; }

 private:
  void advance(size_t stop, char c);

  std::vector<std::string> stops_;
  std::vector<std::vector<size_t>> failure_;  // per stop string: longest proper border of each prefix
  std::vector<size_t> matched_;               // per stop string: its prefix that the text ends with
  std::string held_;
};

}  // namespace strata
