// The builders of list.cpp, one per file of the same name.
#pragma once

#include "model/arch/architecture.h"

namespace strata {

#define STRATA_ARCHITECTURE(name)                         \
  namespace name {                                        \
  Result<BuiltModel> build(const Checkpoint& checkpoint); \
  }

STRATA_ARCHITECTURE(bert)
STRATA_ARCHITECTURE(cohere)
STRATA_ARCHITECTURE(cohere2)
STRATA_ARCHITECTURE(deepseek_v2)
STRATA_ARCHITECTURE(deepseek_v3)
STRATA_ARCHITECTURE(distilbert)
STRATA_ARCHITECTURE(falcon)
STRATA_ARCHITECTURE(gemma2)
STRATA_ARCHITECTURE(gemma3)
STRATA_ARCHITECTURE(glm)
STRATA_ARCHITECTURE(glm4)
STRATA_ARCHITECTURE(gpt2)
STRATA_ARCHITECTURE(gpt_neox)
STRATA_ARCHITECTURE(gpt_oss)
STRATA_ARCHITECTURE(granite)
STRATA_ARCHITECTURE(granite_moe)
STRATA_ARCHITECTURE(llama)
STRATA_ARCHITECTURE(mistral)
STRATA_ARCHITECTURE(mixtral)
STRATA_ARCHITECTURE(modernbert)
STRATA_ARCHITECTURE(nemotron)
STRATA_ARCHITECTURE(nomic_bert)
STRATA_ARCHITECTURE(olmo2)
STRATA_ARCHITECTURE(olmoe)
STRATA_ARCHITECTURE(phi)
STRATA_ARCHITECTURE(phi3)
STRATA_ARCHITECTURE(qwen2)
STRATA_ARCHITECTURE(qwen2_moe)
STRATA_ARCHITECTURE(qwen3)
STRATA_ARCHITECTURE(qwen3_moe)
STRATA_ARCHITECTURE(roberta)
STRATA_ARCHITECTURE(smollm3)
STRATA_ARCHITECTURE(stablelm)
STRATA_ARCHITECTURE(starcoder2)

#undef STRATA_ARCHITECTURE

}  // namespace strata
