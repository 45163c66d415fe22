// A LoRA adapter on disk, brought into the form that a model's plan computes with.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/status.h"
#include "compute/graph/adapter_weights.h"
#include "compute/graph/passes/adapters.h"
#include "model/format/checkpoint.h"
#include "model/format/lora_adapter.h"

namespace strata {

// Factors of quantized weights are kept in 8 bits (AdapterFactor), all others as fp32. kInvalidArgument: the model has
// no such linear layer or one of another shape, or the rank is over places.max_rank; kDataLoss: a number is not finite.
Result<std::shared_ptr<const AdapterWeights>> bind_adapter(const LoraAdapter& adapter, const AdapterPlaces& places,
                                                           const Checkpoint& model);

// Opens the folder and binds what is there.
Result<std::shared_ptr<const AdapterWeights>> load_adapter(const std::filesystem::path& folder,
                                                           const AdapterPlaces& places, const Checkpoint& model);

}  // namespace strata
