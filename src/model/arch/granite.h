// What Granite's models share: four factors in the configuration.
#pragma once

#include "model/arch/model_builder.h"

namespace strata::granite {

struct Multipliers {
  double embedding = 1;
  double attention = 1;  // in the place of 1 / sqrt(head_dim)
  double residual = 1;   // of everything added to the residual stream
  double logits = 1;
};
Multipliers read_multipliers(ModelBuilder& builder);

}  // namespace strata::granite
