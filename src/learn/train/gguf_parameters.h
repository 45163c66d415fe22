// The weights of a GGUF file, of any type, as the parameters of the Hugging Face folder that it could have been made of.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/status.h"
#include "learn/train/parameters.h"
#include "model/arch/architecture.h"
#include "model/format/checkpoint.h"

namespace strata {

// `config`: published_config() of the file, `built`: build_new_model() of that. In the order that a folder's parameters
// have (Parameters::copy), so that training takes the same sums. kInvalidArgument as read_published_weights().
Result<Parameters> gguf_parameters(const Checkpoint& gguf, const nlohmann::json& config, const BuiltModel& built);

}  // namespace strata
