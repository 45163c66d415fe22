// The narrower model inside one of nested widths (format/nested_widths.h): as a graph, and as a checkpoint of its own.
#pragma once

#include "base/status.h"
#include "model/arch/architecture.h"
#include "model/format/checkpoint.h"

namespace strata {

// Pass select_width for the model's feed-forwards. kInvalidArgument: another width than those it was trained at.
Result<Graph> graph_at_width(const Graph& graph, const NestedWidths& widths, int64_t width);

// The narrower model, ordinary in all: what the graph at this width refers to, under the configuration's narrower
// field. Rows stay mapped, columns are copied. kInvalidArgument as above, or an architecture that has no such model.
Result<Checkpoint> checkpoint_at_width(Checkpoint checkpoint, int64_t width);

// That each of a model's widths is an ordinary model, before it is trained: its tensors would have the shapes that its
// configuration says. `shapes`: of the whole model's.
Status check_widths(const BuiltModel& built, const ConfigView& config, const std::vector<WantedTensor>& shapes);

}  // namespace strata
