// Pass recompute (keeps bits): of a differentiated graph, drops activations of chosen layers and computes them again in
// the backward part, just before it reads them: less memory for more time. Layers end at the taps named "layer.<i>".
//
// What later layers read is always kept, so a layer is computed again from the residual stream before it. Each layer's
// second computation begins a segment of its own: waves begin as early as they can, and without that border all layers
// would be computed again at once.
#pragma once

#include <cstdint>
#include <span>

#include "compute/graph/graph.h"

namespace strata {

enum class Recomputed : uint8_t {
  kNothing,
  kRows,  // what row-wise ops give, which is cheap: results of products and attention are kept
  kAll,
};

// Layers of a graph, by its taps.
int count_layers(const Graph& graph);

// `differentiated`: has the output `loss` and no segments yet; its forward part ends with the loss. of_layer: one for
// each layer (CHECK).
Graph recompute(const Graph& differentiated, std::span<const Recomputed> of_layer, std::string_view loss = "loss");

}  // namespace strata
