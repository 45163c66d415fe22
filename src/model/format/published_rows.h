// The order of a matrix's outputs in GGUF, which some architectures lay differently (GgufLayout): what is published for
// the outputs of a weight, an adapter's factor, has to follow.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

// Output i of the weight as the checkpoint stores it is output result[i] of the published one; empty: they are in the
// same order. `n`: outputs of the weight. kInvalidArgument: the configuration's heads do not divide them.
Result<std::vector<int64_t>> published_rows(const Checkpoint& checkpoint, std::string_view weight, int64_t n);

}  // namespace strata
