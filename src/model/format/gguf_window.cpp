#include "model/format/gguf_window.h"

#include <string>
#include <vector>

#include "model/format/gguf_key_writer.h"

namespace strata {
namespace {

constexpr int64_t kMaxLayers = 1 << 16;

bool slides(int64_t layer, int64_t period, bool window_last) {
  return period == 0 || layer % period != (window_last ? period - 1 : 0);
}

std::vector<bool> pattern(int64_t n_layers, int64_t period, bool window_last) {
  std::vector<bool> out;
  for (int64_t layer = 0; layer < n_layers; ++layer) out.push_back(slides(layer, period, window_last));
  return out;
}

// Which layers see a window, as the configuration says it; empty when it says nothing.
std::vector<bool> read_pattern(const ConfigView& config, const GgufArchitecture& entry, int64_t n_layers) {
  if (config.is_array("layer_types")) {
    std::vector<bool> out;
    for (const std::string& type : config.get_strings("layer_types").value_or(std::vector<std::string>{})) {
      out.push_back(type == "sliding_attention");
    }
    return static_cast<int64_t>(out.size()) == n_layers ? out : std::vector<bool>{};
  }
  for (const char* key : {"sliding_window_pattern", "global_attn_every_n_layers"}) {
    if (const auto period = config.is_int(key) ? config.get_int(key) : std::nullopt; period && *period >= 0) {
      return pattern(n_layers, *period, entry.window_last);
    }
  }
  return {};
}

}  // namespace

void write_window_keys(const ConfigView& config, const GgufArchitecture& entry, int64_t n_layers, GgufKeyWriter& keys) {
  const auto window =
      config.has("local_attention") ? config.get_int("local_attention") : config.get_int("sliding_window");
  if (!window || *window <= 0 || !config.get_bool("use_sliding_window").value_or(true)) return;
  keys.add("attention.sliding_window", window);
  if (n_layers < 0 || n_layers > kMaxLayers) return;
  const std::vector<bool> layers = read_pattern(config, entry, n_layers);
  if (layers.empty() || layers == pattern(n_layers, entry.window_period, entry.window_last)) return;
  for (int64_t period = 0; period <= n_layers; ++period) {
    if (layers == pattern(n_layers, period, entry.window_last)) {
      return keys.add("attention.sliding_window_pattern", period);
    }
  }
  keys.add_bools("attention.sliding_window_pattern", layers);
}

}  // namespace strata
