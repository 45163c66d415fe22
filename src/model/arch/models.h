// The builders of list.cpp, one per file of the same name.
#pragma once

#include "model/arch/architecture.h"

namespace strata {

#define STRATA_ARCHITECTURE(name)                         \
  namespace name {                                        \
  Result<BuiltModel> build(const Checkpoint& checkpoint); \
  }

STRATA_ARCHITECTURE(deepseek_v3)
STRATA_ARCHITECTURE(gemma2)
STRATA_ARCHITECTURE(gpt2)
STRATA_ARCHITECTURE(gpt_oss)
STRATA_ARCHITECTURE(llama)
STRATA_ARCHITECTURE(mistral)
STRATA_ARCHITECTURE(mixtral)
STRATA_ARCHITECTURE(olmo2)
STRATA_ARCHITECTURE(phi3)
STRATA_ARCHITECTURE(qwen2)
STRATA_ARCHITECTURE(qwen3)
STRATA_ARCHITECTURE(qwen3_moe)

#undef STRATA_ARCHITECTURE

}  // namespace strata
