#include "learn/train/chosen_layers.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace strata {
namespace {

using nlohmann::json;

constexpr const char* kCounts[] = {"num_hidden_layers", "n_layer", "num_layers"};

const char* find_count(const json& config) {
  for (const char* key : kCounts) {
    if (config.contains(key) && config[key].is_number_integer()) return key;
  }
  return nullptr;
}

}  // namespace

Result<json> config_of_layers(const json& config, const std::vector<int64_t>& layers) {
  const char* count = find_count(config);
  if (count == nullptr) return invalid_argument("model.layers: the base's config.json has no number of layers");
  const auto n_layers = config[count].get<int64_t>();
  for (const int64_t layer : layers) {
    if (layer < 0 || layer >= n_layers) {
      return invalid_argument("model.layers: no layer " + std::to_string(layer) + " (the base has 0 to " +
                              std::to_string(n_layers - 1) + ")");
    }
  }
  json chosen = config;
  for (auto& [key, value] : chosen.items()) {
    if (!value.is_array() || static_cast<int64_t>(value.size()) != n_layers || key == "widths") continue;
    const json all = value;
    value = json::array();
    for (const int64_t layer : layers) value.push_back(all[static_cast<size_t>(layer)]);
  }
  chosen[count] = layers.size();
  return chosen;
}

// The layer is the first part of a published name that is a number: "model.layers.3.mlp.experts.5.up_proj.weight".
std::optional<WeightTensor> ChosenLayers::find(std::string_view name) const {
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    size_t layer = 0;
    const auto [stop, error] = std::from_chars(name.data() + begin, name.data() + end, layer);
    if (error == std::errc() && stop == name.data() + end) {
      if (layer >= layers_.size()) return std::nullopt;
      return source_.find(std::string(name.substr(0, begin)) + std::to_string(layers_[layer]) +
                          std::string(name.substr(end)));
    }
    begin = end + 1;
  }
  return source_.find(name);
}

}  // namespace strata
