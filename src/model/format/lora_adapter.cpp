#include "model/format/lora_adapter.h"

#include <cmath>

#include "model/format/quoted_name.h"

namespace strata {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kLoraA = ".lora_A.weight";
constexpr std::string_view kLoraB = ".lora_B.weight";

// True for "q_proj" or "layers.0.self_attn.q_proj" as the last parts of `module`.
bool ends_with_module(std::string_view module, std::string_view end) {
  if (!module.ends_with(end)) return false;
  return module.size() == end.size() || module[module.size() - end.size() - 1] == '.';
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (const int64_t size : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
  return out + "]";
}

}  // namespace

Result<LoraAdapter> LoraAdapter::open(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(const ConfigView config, ConfigView::read_file(folder / "adapter_config.json"));
  ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(folder / "adapter_model.safetensors"));
  LoraAdapter adapter(std::move(file));
  if (const Status status = adapter.read_config(config); !status.ok()) return status;
  if (const Status status = adapter.read_tensors(); !status.ok()) {
    return status.with_context(adapter.file_.path().string());
  }
  return adapter;
}

Status LoraAdapter::read_config(const ConfigView& config) {
  const std::string type = config.get_string("peft_type").value_or("LORA");
  if (type != "LORA")
    return invalid_argument("adapter_config.json: peft_type " + quoted_name(type) + " is no LoRA", "peft_type");
  for (const char* field : {"use_dora", "use_qalora", "use_bdlora", "lora_bias"}) {
    if (config.get_bool(field).value_or(false))
      return invalid_argument("adapter_config.json: " + std::string(field) + " is not computed", field);
  }
  for (const char* field : {"layer_replication", "alora_invocation_tokens", "trainable_token_indices"}) {
    if (config.has(field))
      return invalid_argument("adapter_config.json: " + std::string(field) + " is not computed", field);
  }
  if (config.get_string("bias").value_or("none") != "none") {
    return invalid_argument("adapter_config.json: trained biases are not computed (train with bias: none)", "bias");
  }
  ASSIGN_OR_RETURN(rank_, config.require_int("r"));
  if (rank_ <= 0) return invalid_argument("adapter_config.json: r must be positive", "r");
  alpha_ = config.get_double("lora_alpha").value_or(static_cast<double>(rank_));
  rank_stabilized_ = config.get_bool("use_rslora").value_or(false);
  if (config.is_string("target_modules")) {
    target_modules_ = {*config.get_string("target_modules")};
  } else {
    target_modules_ = config.get_strings("target_modules").value_or(std::vector<std::string>{});
  }
  if (const auto pattern = config.get_object("alpha_pattern")) {
    for (const std::string& key : pattern->keys()) {
      if (key.find_first_of("*+?()[]{}|^$\\") != std::string::npos) {
        return invalid_argument(
            "adapter_config.json: alpha_pattern " + quoted_name(key) + " is a regular expression (name the module)",
            "alpha_pattern");
      }
      ASSIGN_OR_RETURN(alpha_pattern_[key], pattern->require_double(key));
    }
  }
  return config.status();
}

Status LoraAdapter::read_tensors() {
  for (const SafetensorsTensor& tensor : file_.tensors()) {
    const std::string where = "tensor " + quoted_name(tensor.name);
    std::string_view module = tensor.name;
    if (module.starts_with(kPrefix)) module.remove_prefix(kPrefix.size());
    const bool is_a = module.ends_with(kLoraA);
    if (!is_a && !module.ends_with(kLoraB)) {
      return invalid_argument(where + " is neither lora_A nor lora_B of a linear layer, which alone are computed");
    }
    module.remove_suffix(kLoraA.size());
    if (!tensor.type || (*tensor.type != DType::kF32 && *tensor.type != DType::kF16 && *tensor.type != DType::kBF16)) {
      return invalid_argument(where + " has the type " + tensor.type_name + " (save the adapter as F32, F16 or BF16)");
    }
    if (tensor.shape.size() != 2) return data_loss(where + " has the shape " + shape_text(tensor.shape));
    std::string weight = std::string(module) + std::string(kWeight);
    Pair& pair = pairs_[weight];
    (is_a ? pair.a : pair.b) = {weight, tensor.name, *tensor.type, tensor.shape, tensor.data};
  }
  return pairs_.empty() ? data_loss("the adapter is empty") : finish_pairs();
}

Status LoraAdapter::finish_pairs() {
  for (auto& [weight, pair] : pairs_) {
    const std::string where = "weight " + quoted_name(weight);
    if (pair.a.shape.empty()) return data_loss(where + " has lora_B but no lora_A");
    if (pair.b.shape.empty()) return data_loss(where + " has lora_A but no lora_B");
    const int64_t rank = pair.a.shape[0];
    if (rank <= 0 || pair.b.shape[1] != rank) {
      return data_loss(where + ": lora_A " + shape_text(pair.a.shape) + " and lora_B " + shape_text(pair.b.shape) +
                       " do not fit");
    }
    double alpha = alpha_;
    for (const auto& [end, value] : alpha_pattern_) {
      if (ends_with_module(std::string_view(weight).substr(0, weight.size() - kWeight.size()), end)) alpha = value;
    }
    const double divisor = rank_stabilized_ ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
    pair.scale = static_cast<float>(alpha / divisor);
  }
  return ok_status();
}

const LoraAdapter::Pair* LoraAdapter::find(std::string_view weight) const {
  const auto found = pairs_.find(weight);
  return found == pairs_.end() ? nullptr : &found->second;
}

}  // namespace strata
