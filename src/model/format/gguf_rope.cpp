#include "model/format/gguf_rope.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <span>

#include "model/format/checkpoint.h"
#include "model/format/gguf_folder_config.h"
#include "model/format/gguf_key_writer.h"
#include "model/format/gguf_output_tensor.h"

namespace strata {
namespace {

constexpr std::array kThetas = {"rope_theta", "global_rope_theta", "rotary_emb_base"};
constexpr std::array kLocalThetas = {"rope_local_base_freq", "local_rope_theta"};
constexpr std::array kParts = {"partial_rotary_factor", "rotary_pct", "rope_pct"};

std::optional<double> first_double(const ConfigView& config, std::span<const char* const> keys) {
  for (const char* key : keys) {
    if (config.has(key)) return config.get_double(key);
  }
  return std::nullopt;
}

std::optional<ConfigView> object(const ConfigView& config, const char* key) {
  return config.is_object(key) ? config.get_object(key) : std::nullopt;
}

// The numbers by which Llama 3's scaling divides each rotary frequency.
// Source: https://github.com/huggingface/transformers, modeling_rope_utils.py (llama3).
std::vector<float> llama3_factors(const ConfigView& scaling, double theta, int64_t rotary_dim) {
  const double factor = scaling.get_double("factor").value_or(8.0);
  const double low = scaling.get_double("low_freq_factor").value_or(1.0);
  const double high = scaling.get_double("high_freq_factor").value_or(4.0);
  const double original = scaling.get_double("original_max_position_embeddings").value_or(8192.0);
  std::vector<float> out;
  for (int64_t i = 0; i < rotary_dim; i += 2) {
    const double wavelength =
        2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / static_cast<double>(rotary_dim));
    if (wavelength < original / high) {
      out.push_back(1.0f);
    } else if (wavelength > original / low) {
      out.push_back(static_cast<float>(factor));
    } else {
      const double smooth = (original / wavelength - low) / (high - low);
      out.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
    }
  }
  return out;
}

// The context that scaling started from.
std::optional<int64_t> original_context(const ConfigView& config, const GgufFolderRope& rope) {
  const char* key = "original_max_position_embeddings";
  return rope.scaling.has(key) ? rope.scaling.get_int(key) : config.get_int(key);
}

// By what longrope multiplies cosines and sines.
double longrope_magnitude(const ConfigView& config, const GgufFolderRope& rope) {
  if (const auto given = rope.scaling.get_double("attention_factor")) return *given;
  const auto original = original_context(config, rope);
  const auto longest = config.get_int("max_position_embeddings");
  if (!original || !longest || *original < 2) return 1;
  const double stretch = static_cast<double>(*longest) / static_cast<double>(*original);
  const double factor = rope.scaling.get_double("factor").value_or(stretch);
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(*original)));
}

void write_yarn(const GgufFolderRope& rope, GgufKeyWriter& keys) {
  if (const auto mscale = rope.scaling.get_double("mscale_all_dim")) {
    keys.add_float("rope.scaling.yarn_log_multiplier", 0.1 * *mscale);
  }
  keys.add_float("rope.scaling.yarn_beta_fast", rope.scaling.get_double("beta_fast"));
  keys.add_float("rope.scaling.yarn_beta_slow", rope.scaling.get_double("beta_slow"));
  const auto magnitude = rope.scaling.get_double("attention_factor");
  const auto factor = rope.scaling.get_double("factor");
  if (magnitude && factor && *factor > 1) {
    // config.json's stands for the whole, GGUF's comes on top of the usual one.
    keys.add_float("rope.scaling.attn_factor", *magnitude / (1 + 0.1 * std::log(*factor)));
  }
}

}  // namespace

GgufFolderRope gguf_folder_rope(const ConfigView& config) {
  GgufFolderRope out;
  ConfigView fields;
  if (const auto parameters = object(config, "rope_parameters")) fields = *parameters;
  if (const auto local = object(fields, "sliding_attention")) out.local_theta = local->get_double("rope_theta");
  if (const auto global = object(fields, "full_attention")) fields = *global;
  if (const auto scaling = object(config, "rope_scaling")) fields = *scaling;
  if (!out.local_theta) out.local_theta = first_double(config, kLocalThetas);
  out.theta = first_double(fields, kThetas).value_or(first_double(config, kThetas).value_or(out.theta));
  out.partial_factor = first_double(fields, kParts).value_or(first_double(config, kParts).value_or(1));
  out.type = fields.get_string("rope_type").value_or(fields.get_string("type").value_or(""));
  if (out.type == "su") out.type = "longrope";
  out.scaling = fields;
  return out;
}

void write_rope_keys(const ConfigView& config, const GgufArchitecture& entry, GgufKeyWriter& keys) {
  const GgufFolderRope rope = gguf_folder_rope(config);
  keys.add_float("rope.freq_base", rope.theta);
  keys.add_float("rope.freq_base_swa", rope.local_theta);
  if (!entry.latent) keys.add("rope.dimension_count", gguf_folder_rotary_dim(config, entry));
  if (rope.type != "linear" && rope.type != "yarn" && rope.type != "longrope") return;  // llama3 is a tensor
  keys.add_string("rope.scaling.type", rope.type);
  keys.add_float("rope.scaling.factor", rope.scaling.get_double("factor"));
  if (rope.type == "linear") return;
  keys.add("rope.scaling.original_context_length", original_context(config, rope));
  if (rope.type == "yarn") write_yarn(rope, keys);
  if (rope.type == "longrope") keys.add_float("rope.scaling.attn_factor", longrope_magnitude(config, rope));
}

void add_rope_factors(const Checkpoint& checkpoint, const GgufArchitecture& entry,
                      std::vector<GgufOutputTensor>& tensors) {
  const ConfigView config = gguf_folder_config(checkpoint);
  const GgufFolderRope rope = gguf_folder_rope(config);
  const auto add = [&](const char* name, std::vector<float> values) {
    if (values.empty()) return;
    GgufOutputTensor& out = tensors.emplace_back();
    out.name = name;
    out.shape = {static_cast<int64_t>(values.size())};
    out.values = std::move(values);
  };
  const auto list = [&](const char* key) {
    const auto values = rope.scaling.get_doubles(key).value_or(std::vector<double>{});
    return std::vector<float>(values.begin(), values.end());
  };
  if (rope.type == "llama3") {
    add("rope_freqs.weight", llama3_factors(rope.scaling, rope.theta, gguf_folder_rotary_dim(config, entry)));
  } else if (rope.type == "longrope") {
    add("rope_factors_long.weight", list("long_factor"));
    add("rope_factors_short.weight", list("short_factor"));
  }
}

nlohmann::json llama3_scaling(std::span<const float> factors, double theta) {
  if (factors.empty()) return nullptr;
  const auto near = [](float a, float b) { return std::abs(a - b) <= 1e-6f * std::abs(b); };
  for (int64_t original = 16; original <= int64_t{1} << 24; original *= 2) {
    nlohmann::json scaling{{"rope_type", "llama3"},
                           {"factor", *std::max_element(factors.begin(), factors.end())},
                           {"low_freq_factor", 1.0},
                           {"high_freq_factor", 4.0},
                           {"original_max_position_embeddings", original}};
    const auto made = llama3_factors(ConfigView(scaling, "rope_scaling"), theta, 2 * static_cast<int64_t>(factors.size()));
    if (std::equal(made.begin(), made.end(), factors.begin(), factors.end(), near)) return scaling;
  }
  return nullptr;
}

}  // namespace strata
