// LoRA adapters on the command line: those that --adapter names, and made-up ones for bench.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/settings.h"
#include "compute/graph/adapter_weights.h"
#include "engine/model_runner.h"
#include "engine/request.h"

namespace strata::cli {

struct AdapterFolder {
  std::string name;  // the folder's when none is given
  std::string folder;
};
// "[NAME=]FOLDER,..." -> kInvalidArgument when a name comes twice.
Result<std::vector<AdapterFolder>> adapter_folders(const Settings& settings);

// The rank that a runner has to make room for; 0: no adapters are wanted.
int64_t adapter_rank(const Settings& settings);

// The one adapter that a command computes with; null: none was given.
Result<AdapterRef> chosen_adapter(const Settings& settings, const Model& model, const ModelRunner& runner);

// Adapters of this rank at all places of a plan, each with random numbers of its own.
std::vector<AdapterRef> random_adapters(const AdapterPlaces& places, int64_t rank, int count);

}  // namespace strata::cli
