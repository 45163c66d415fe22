// The block of DeepSeek-V2 and V3 (https://arxiv.org/abs/2405.04434, https://arxiv.org/abs/2412.19437): multi-head
// latent attention, and routed experts beside shared ones in all but the first layers. The two differ in how they
// choose experts.
#pragma once

#include "model/arch/model_builder.h"

namespace strata::deepseek {

// Sets n_groups and n_groups_used of the route from n_group and topk_group.
void read_groups(ModelBuilder& builder, Experts& experts);

Result<BuiltModel> build(const Checkpoint& checkpoint, Experts (*read_experts)(ModelBuilder&));

}  // namespace strata::deepseek
