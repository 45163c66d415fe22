// Models whose neighbouring layers share weights (field shared_layers: how many different layers there are). Each
// weight is stored once, under the name of the first layer that has it: of 8 layers with shared_layers 2, layers 0 to 3
// are one, layers 4 to 7 the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config_view.h"

namespace strata {

class SharedLayers {
 public:
  SharedLayers() = default;
  // kInvalidArgument: more than there are layers, or fewer than one.
  static Result<SharedLayers> from(const ConfigView& config);

  // The name under which the weight `name` is stored: another layer's, or its own.
  std::string stored(const std::string& name) const;
  // The names that the stored weight `name` has in the model.
  std::vector<std::string> names(const std::string& name) const;

 private:
  int64_t layers_ = 0;  // 0: nothing is shared
  int64_t groups_ = 0;
};

}  // namespace strata
