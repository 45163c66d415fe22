// Sliding windows on their way from config.json to GGUF.
#pragma once

#include "model/format/config_view.h"
#include "model/format/gguf_architectures.h"

namespace strata {

class GgufKeyWriter;

// The window's size and which layers have it: nothing when it is the pattern GGUF takes for granted, a period when the
// layers follow one, else a flag for each layer.
void write_window_keys(const ConfigView& config, const GgufArchitecture& entry, int64_t n_layers, GgufKeyWriter& keys);

}  // namespace strata
