// A model to train from nothing: its tensors with their first numbers. What a tensor is for is read from the graph:
// matrices are drawn from a normal distribution, norms start at factor 1, biases and sinks at 0.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "learn/train/parameters.h"
#include "model/arch/architecture.h"

namespace strata {

struct InitialNumbers {
  uint64_t seed = 0;
  double deviation = 0.02;  // of matrices
};

// Normally distributed ones.
void draw_numbers(Parameter& parameter, const InitialNumbers& options);

// The parameters of a model of build_new_model(). The numbers of a tensor depend on the seed and its name alone.
Parameters make_parameters(const BuiltModel& model, const InitialNumbers& options);

}  // namespace strata
