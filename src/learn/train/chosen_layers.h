// A smaller model to begin with: some of the layers of a known one, with its embedding, norms and head.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "compute/graph/plan/bind.h"

namespace strata {

// config.json of the smaller model: fewer layers, and of fields that list something of every layer those chosen.
// kInvalidArgument: a layer that the model does not have, or a configuration that does not say how many there are.
Result<nlohmann::json> config_of_layers(const nlohmann::json& config, const std::vector<int64_t>& layers);

// The tensors of the chosen layers under the names that they have in the smaller model. Borrows `source`.
class ChosenLayers final : public WeightSource {
 public:
  ChosenLayers(const WeightSource& source, std::vector<int64_t> layers) : source_(source), layers_(std::move(layers)) {}
  std::optional<WeightTensor> find(std::string_view name) const override;

 private:
  const WeightSource& source_;
  std::vector<int64_t> layers_;
};

}  // namespace strata
