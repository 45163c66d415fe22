#include "model/format/nested_widths.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace strata {
namespace {

// A mixture that says both is as wide as its experts.
constexpr const char* kFields[] = {"moe_intermediate_size", "intermediate_size", "n_inner", "ffn_hidden_size"};

std::string list(const std::vector<int64_t>& widths) {
  std::string text;
  for (const int64_t width : widths) text += (text.empty() ? "" : ", ") + std::to_string(width);
  return text;
}

}  // namespace

Result<NestedWidths> NestedWidths::from(const ConfigView& config) {
  NestedWidths widths;
  widths.narrow = config.get_ints("widths").value_or(std::vector<int64_t>());
  RETURN_IF_ERROR(config.status());
  if (widths.narrow.empty()) return widths;
  const auto field = std::find_if(std::begin(kFields), std::end(kFields), [&](auto key) { return config.has(key); });
  if (field == std::end(kFields))
    return invalid_argument("config: widths: nothing says how wide the whole model is (give intermediate_size)");
  widths.field = *field;
  ASSIGN_OR_RETURN(widths.full, config.require_int(widths.field));
  if (widths.field == kFields[0]) widths.shared = std::max<int64_t>(1, config.get_int("n_shared_experts").value_or(1));
  for (size_t i = 0; i < widths.narrow.size(); ++i) {
    if (widths.narrow[i] > (i == 0 ? 0 : widths.narrow[i - 1]) && widths.narrow[i] < widths.full) continue;
    return invalid_argument("config: widths: [" + list(widths.narrow) + "], expected ascending numbers between 0 and " +
                            std::to_string(widths.full) + " (" + widths.field + ")");
  }
  return widths;
}

Status NestedWidths::check(int64_t width) const {
  if (narrow.empty()) {
    return invalid_argument("width " + std::to_string(width) +
                            ": the model has no narrower one inside (config.json has no widths; strata train makes "
                            "such models with model.widths)");
  }
  if (width == full || std::find(narrow.begin(), narrow.end(), width) != narrow.end()) return ok_status();
  return invalid_argument("width " + std::to_string(width) + ": the model was trained at the widths " + list(narrow) +
                          " and " + std::to_string(full) + " (give one of them)");
}

nlohmann::json NestedWidths::config_at(nlohmann::json config, int64_t width) const {
  config[field] = width;
  nlohmann::json inside = nlohmann::json::array();
  for (const int64_t other : narrow) {
    if (other < width) inside.push_back(other);
  }
  config.erase("widths");
  if (!inside.empty()) config["widths"] = std::move(inside);
  return config;
}

}  // namespace strata
