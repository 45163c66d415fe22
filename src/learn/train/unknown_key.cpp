#include "learn/train/unknown_key.h"

#include <algorithm>
#include <string_view>

namespace strata {
namespace {

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

Status unknown_key(const std::string& section, const std::string& key, const std::vector<std::string>& known) {
  std::string text = (section.empty() ? "" : section + ": ") + "unknown key \"" + key + "\"";
  const auto nearest = std::min_element(
      known.begin(), known.end(), [&](const auto& a, const auto& b) { return distance(a, key) < distance(b, key); });
  if (nearest != known.end()) text += " (the nearest known is \"" + *nearest + "\")";
  return invalid_argument(text);
}

}  // namespace strata
