// The builders of list.cpp, one per file of the same name.
#pragma once

#include "model/arch/architecture.h"

namespace strata {

namespace llama {
Result<BuiltModel> build(const Checkpoint& checkpoint);
}
namespace qwen3_moe {
Result<BuiltModel> build(const Checkpoint& checkpoint);
}
namespace deepseek_v3 {
Result<BuiltModel> build(const Checkpoint& checkpoint);
}

}  // namespace strata
