#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/commands.h"
#include "cli/runtime.h"

namespace strata::cli {
namespace {

// The `top` highest logits of a row (all when 0), highest first, ties to the lower id.
nlohmann::json row_json(std::span<const float> row, int top) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t n = top == 0 ? row.size() : std::min(row.size(), static_cast<size_t>(top));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](int32_t a, int32_t b) {
                      const float x = row[static_cast<size_t>(a)];
                      const float y = row[static_cast<size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < n; ++i) list.push_back({order[i], row[static_cast<size_t>(order[i])]});
  return list;
}

}  // namespace

Status logits_command(const Settings& settings, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids, parse_ids(settings.tokens, "--tokens"));
  ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(settings, arguments[0]));
  const auto vocab = static_cast<size_t>(loaded.runner->limits().vocab);
  nlohmann::json positions = nlohmann::json::array();
  RETURN_IF_ERROR(run_sequence(*loaded.runner, ids, [&](int64_t, std::span<const float> logits) {
    for (size_t row = 0; row < logits.size() / vocab; ++row)
      positions.push_back(row_json(logits.subspan(row * vocab, vocab), settings.top));
  }));
  std::printf("%s\n", nlohmann::json{{"positions", positions}}.dump().c_str());
  return ok_status();
}

}  // namespace strata::cli
