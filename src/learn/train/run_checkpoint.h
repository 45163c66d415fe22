// All that a run needs to go on: weights, the optimizer's memory, the average, the step and the position in the data,
// as one safetensors file that is replaced as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "learn/data/document_stream.h"
#include "learn/train/trainer.h"

namespace strata {

struct RunState {
  int64_t step = 0;
  StreamPosition position;
  std::string origin;  // a hash of what must not change between: recipe and corpus
};

Status save_checkpoint(const std::filesystem::path& path, const RunState& state, const Parameters& parameters,
                       Trainer& trainer);
// Also puts the numbers in place and refreshes the trainer. kInvalidArgument: of another recipe, corpus or shape.
Result<RunState> load_checkpoint(const std::filesystem::path& path, const std::string& origin, Parameters& parameters,
                                 Trainer& trainer);

// The numbers of each parameter as the result has them: of parameters that are averaged, the average.
std::vector<std::span<const float>> result_numbers(const Parameters& parameters, Trainer& trainer);
// The weights alone, as a model's folder has them.
Status save_weights(const std::filesystem::path& path, const Parameters& parameters, Trainer& trainer);

}  // namespace strata
