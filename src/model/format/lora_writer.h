// Writes a LoRA adapter as PEFT saves it: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace strata {

// The factors of one weight: it becomes w + scale * b a.
struct LoraFactors {
  std::string weight;  // "model.layers.0.self_attn.q_proj.weight"
  int64_t rank = 0;
  std::span<const float> a;  // [rank, inputs]
  std::span<const float> b;  // [outputs, rank]
};

struct LoraFiles {
  std::string base;  // where the model is that was adapted
  int64_t rank = 0;
  double alpha = 0;  // scale = alpha / rank
  std::vector<std::string> targets;  // ends of the names of all adapted modules, and of no others: "q_proj"
  std::vector<LoraFactors> factors;
};

// Each file appears whole or not at all.
Status write_lora_adapter(const std::filesystem::path& folder, const LoraFiles& files);

}  // namespace strata
