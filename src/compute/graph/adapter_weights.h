// A low-rank adapter in the form that the ops lora_down and lora_up compute with: its factors at each place of a graph
// that pass add_adapters made. A step is given the adapters of its sequences (Batch::adapter_weights).
//
// Immutable; shared by the requests that use it and whoever offers it by name, so it is freed with its last user.
#pragma once

#include <vector>

#include "base/hash.h"
#include "compute/graph/plan/bind.h"
#include "compute/kernels/adapter_factor.h"

namespace strata {

struct AdapterWeights {
  struct First {
    AdapterFactor factor;  // [rank, k]; rank 0: the adapter leaves the layer alone
    float scale = 1;
  };
  std::vector<First> first;           // by number of AdapterPlaces::first
  std::vector<AdapterFactor> second;  // [rank, n], by number of AdapterPlaces::second
  AlignedBuffer memory;               // what the factors are in
  Hash128 identity;                   // of all numbers: equal ones give equal results
};

}  // namespace strata
