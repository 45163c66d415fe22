#include "model/format/shared_layers.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace strata {
namespace {

// The number of the layer in "model.layers.12.mlp.up_proj.weight": the first part that is a number.
struct LayerPlace {
  size_t begin, size;
  int64_t layer;
};
std::optional<LayerPlace> layer_in(const std::string& name) {
  for (size_t begin = name.find('.'); begin != std::string::npos; begin = name.find('.', begin + 1)) {
    const size_t end = name.find('.', begin + 1);
    if (end == std::string::npos) break;
    int64_t layer = 0;
    const char* last = name.data() + end;
    const auto [stop, error] = std::from_chars(name.data() + begin + 1, last, layer);
    if (error == std::errc() && stop == last && layer >= 0) return LayerPlace{begin + 1, end - begin - 1, layer};
  }
  return std::nullopt;
}

std::string with_layer(const std::string& name, const LayerPlace& place, int64_t layer) {
  return name.substr(0, place.begin) + std::to_string(layer) + name.substr(place.begin + place.size);
}

}  // namespace

Result<SharedLayers> SharedLayers::from(const ConfigView& config) {
  SharedLayers shared;
  const std::optional<int64_t> groups = config.get_int("shared_layers");
  if (!groups) return shared;
  const int64_t layers = config.get_int(config.has("n_layer") ? "n_layer" : "num_hidden_layers").value_or(0);
  if (*groups < 1 || *groups > layers) {
    return invalid_argument("config: shared_layers is " + std::to_string(*groups) + ", expected 1 to " +
                            std::to_string(layers) + ", the number of layers");
  }
  shared.groups_ = *groups;
  shared.layers_ = layers;
  return shared;
}

std::string SharedLayers::stored(const std::string& name) const {
  const auto place = layers_ > 0 ? layer_in(name) : std::nullopt;
  if (!place || place->layer >= layers_ || name.starts_with("exits.")) return name;
  const int64_t group = place->layer * groups_ / layers_;
  return with_layer(name, *place, (group * layers_ + groups_ - 1) / groups_);
}

std::vector<std::string> SharedLayers::names(const std::string& name) const {
  const auto place = layers_ > 0 ? layer_in(name) : std::nullopt;
  if (!place || stored(name) != name) return {name};
  std::vector<std::string> names;
  for (int64_t layer = place->layer; layer < std::max(layers_, place->layer + 1); ++layer) {
    std::string other = with_layer(name, *place, layer);
    if (layer > place->layer && stored(other) != name) break;
    names.push_back(std::move(other));
  }
  return names;
}

}  // namespace strata
