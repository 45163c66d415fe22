// Regions of a graph that treat heads or columns independently: from matmuls that read a whole value to the matmuls
// that make one again. They are what shard divides over ranks and select_width narrows.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

enum class RegionRole : uint8_t {
  kOutside,  // whole
  kInside,   // heads or columns, each by itself
  kEntry,    // a matmul whose weight rows are divided: whole in, divided out
  kExit,     // a matmul whose weight columns are divided: divided in
};

// Attention, where each head is by itself.
bool is_attention(const Node& node);
// The activation inside a feed-forward. A soft cap on the logits of the output rows is an activation too, but no
// feed-forward.
bool is_feed_forward(const Node& node);

// The role of each node. A region begins at a node that is_seed() says and grows in both directions; kInvalidArgument,
// in the name of `pass`, where it cannot.
Result<std::vector<RegionRole>> divide_regions(const Graph& graph, const std::function<bool(const Node&)>& is_seed,
                                               std::string_view pass);

}  // namespace strata
