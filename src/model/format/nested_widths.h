// Models that have narrower ones inside (field widths): the first neurons of every feed-forward, as many as one of the
// widths says, are a model that works by itself. Of mixtures it is the inside of each expert.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config_view.h"

namespace strata {

struct NestedWidths {
  std::string field;            // of the configuration that says how wide feed-forwards are: "intermediate_size"
  int64_t full = 0;             // what it says
  int64_t shared = 1;           // experts that all tokens use lie side by side: feed-forwards of shared * full
  std::vector<int64_t> narrow;  // ascending, below full; empty: there is no narrower model

  // kInvalidArgument: widths that are not ascending, or not between 0 and the full one; no field that says that.
  static Result<NestedWidths> from(const ConfigView& config);

  // kInvalidArgument, with the widths that there are, when it is none of them nor the full one.
  Status check(int64_t width) const;
  // The configuration of the model at a width, with the widths that are in it.
  nlohmann::json config_at(nlohmann::json config, int64_t width) const;
};

}  // namespace strata
