// Pass schedule_weights (keeps bits): for weights that do not fit in the memory they may have. Some stay in memory; the
// others are marked as streamed, and the graph is cut in segments (windows) that read about equally many bytes each, so
// that the next windows can be read while one computes (plan/weight_stream.h). The last pass.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

struct WeightSchedule {
  Graph graph;
  uint64_t resident_bytes = 0;
  uint64_t streamed_bytes = 0;  // read for each step
  uint64_t buffer_bytes = 0;    // for windows that come, are used or wait: 0 where everything stays
};

// Bytes of the weight that is input `input` of an op, as it is bound; 0 for everything else.
using WeightBytes = std::function<uint64_t(const Node& op, size_t input)>;

// The wanted size of a window: large enough for any disk, small beside the memory.
uint64_t window_bytes_for(uint64_t memory);

// `memory`: for the weights that stay and the buffer together; `fixed`: of that, for what `bytes` says nothing of.
// kInvalidArgument says how much is needed at least.
Result<WeightSchedule> schedule_weights(const Graph& graph, const WeightBytes& bytes, uint64_t fixed, uint64_t memory,
                                        uint64_t window_bytes);

}  // namespace strata
