// Rotary positions on their way from config.json to GGUF.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <vector>

#include "model/format/config_view.h"
#include "model/format/gguf_architectures.h"

namespace strata {

class Checkpoint;
class GgufKeyWriter;
struct GgufOutputTensor;

// The rotary settings of a configuration, whichever version of transformers wrote it.
struct GgufFolderRope {
  double theta = 10000;
  std::optional<double> local_theta;  // of layers that see a window
  double partial_factor = 1;          // of a head's dimensions that rotate
  ConfigView scaling;                 // empty: none
  std::string type;                   // "", "linear", "yarn", "llama3", "longrope"
};
GgufFolderRope gguf_folder_rope(const ConfigView& config);

void write_rope_keys(const ConfigView& config, const GgufArchitecture& entry, GgufKeyWriter& keys);

// Scaling that GGUF stores as tensors: Llama 3's rule as the factors it gives, long and short factors as they are.
void add_rope_factors(const Checkpoint& checkpoint, const GgufArchitecture& entry,
                      std::vector<GgufOutputTensor>& tensors);

// rope_scaling by Llama 3's rule, with the bounds that all published models have, that gives these factors; null where
// none does.
nlohmann::json llama3_scaling(std::span<const float> factors, double theta);

}  // namespace strata
