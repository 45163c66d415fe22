// Rotary frequencies of a model: theta and every published scaling rule (linear, dynamic, llama3, yarn, longrope), read
// from `rope_theta` + `rope_scaling` or from `rope_parameters`.
// Sources: position interpolation https://arxiv.org/abs/2306.15595, YaRN https://arxiv.org/abs/2309.00071, LongRoPE
// https://arxiv.org/abs/2402.13753, Llama 3.1's rule as published with its configuration.
#pragma once

#include "compute/graph/ops/ops.h"
#include "model/arch/model_builder.h"

namespace strata {

// For heads of which `rotary_dim` numbers rotate. Keeps a failure in the builder when a field is missing or unknown.
ops::Rope read_rope(ModelBuilder& builder, int64_t rotary_dim, int64_t max_context);

// The factor YaRN models put on attention scores: 0.1 * mscale * ln(factor) + 1 (1 for factor <= 1).
double yarn_mscale(double factor, double mscale);

}  // namespace strata
