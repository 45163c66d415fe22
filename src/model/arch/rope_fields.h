// Rotary frequencies of a model: theta and every published scaling rule (linear, dynamic, llama3, yarn, longrope), read
// from `rope_theta` + `rope_scaling` or from `rope_parameters`, which may hold one object per layer type.
// Sources: position interpolation https://arxiv.org/abs/2306.15595, YaRN https://arxiv.org/abs/2309.00071, LongRoPE
// https://arxiv.org/abs/2402.13753, Llama 3.1's rule as published with its configuration.
#pragma once

#include <string>

#include "compute/graph/ops/ops.h"
#include "model/arch/model_builder.h"

namespace strata {

// What an architecture knows about its rotary fields.
struct RopeFields {
  double theta = 10000;                  // where the configuration does not say
  std::string layer_type = {};           // "sliding_attention": whose object of rope_parameters is meant
  std::string theta_key = "rope_theta";  // of the old spelling: "rope_local_base_freq" (Gemma 3's sliding layers)
  bool scaled = true;                    // whether rope_scaling of the old spelling is meant for these layers
};

// For heads of which `rotary_dim` numbers rotate. Keeps a failure in the builder when a field is missing or unknown.
ops::Rope read_rope(ModelBuilder& builder, int64_t rotary_dim, int64_t max_context, const RopeFields& fields = {});

// How many numbers of a head rotate: head_dim * partial_rotary_factor (old: rotary_pct, rope_pct).
int64_t read_rotary_dim(ModelBuilder& builder, int64_t head_dim, double factor_unless_said = 1);

// The factor YaRN models put on attention scores: 0.1 * mscale * ln(factor) + 1 (1 for factor <= 1).
double yarn_mscale(double factor, double mscale);

}  // namespace strata
