// Pass lower_attention: from attention as models write it to what runs.
//   paged:    a paged cache per layer as state; K and V are rounded into it first and read from it only. Latent
//   attention
//             (MLA) runs in one form for prefill and decode: queries go through the key up-projection, the cached row
//             is [latent | rope part], and the attended latent goes through the value up-projection.
//             Attention that is not causal (encoders) becomes segments here too: it has no cache.
//   segments: flat segments, whole sequences and no cache, for embeddings and training.
// Changes bits where the cache type rounds.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

// Latent attention as plain attention on the latent, whose gradient is known: differentiate does this first.
Graph expand_latent_attention(const Graph& graph);
Graph lower_attention_paged(const Graph& graph, DType cache_type);
Graph lower_attention_segments(const Graph& graph);

}  // namespace strata
