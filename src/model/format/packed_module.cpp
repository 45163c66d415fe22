#include "model/format/packed_module.h"

#include "model/format/quoted_name.h"

namespace strata {
namespace {

struct Scheme {
  std::string_view method;  // quant_method
  std::string_view marker;  // the part of a module that only this scheme has
  Result<PackedWeight> (*read)(PackedModule&, const ConfigView&);
};
constexpr Scheme kSchemes[] = {
    {"gptq", "qweight", read_gptq},
    {"awq", "qweight", read_awq},
    {"compressed-tensors", "weight_packed", read_compressed_tensors},
    {"compressed-tensors", "weight_scale", read_compressed_tensors},
    {"fp8", "weight_scale_inv", read_fp8},
    {"fp8", "weight_scale", read_fp8},
    {"fbgemm_fp8", "weight_scale", read_fp8},
};

// Scales of activations and of the cache, from calibration.
constexpr std::string_view kOfActivations[] = {
    ".input_scale", ".output_scale",   ".k_scale",           ".v_scale",  ".input_zero_point",   ".output_zero_point",
    ".q_scale",     ".input_scale_ub", ".prob_output_scale", ".kv_scale", ".input_global_scale", ".activation_scale"};

bool is_known(std::string_view method) {
  for (const Scheme& scheme : kSchemes) {
    if (scheme.method == method) return true;
  }
  return false;
}

// As the configuration words it; for people.
std::string describe(std::string_view method, const ConfigView& config) {
  std::string out(method);
  if (method == "compressed-tensors" && config.is_string("format")) out += " " + *config.get_string("format");
  if (config.is_int("bits")) out += ", " + std::to_string(*config.get_int("bits")) + " bits";
  if (config.is_int("group_size") && *config.get_int("group_size") > 0) {
    out += ", groups of " + std::to_string(*config.get_int("group_size"));
  }
  if (const auto block = config.get_ints("weight_block_size"); block && block->size() == 2) {
    out += ", blocks of " + std::to_string((*block)[0]) + " x " + std::to_string((*block)[1]);
  }
  if (config.get_bool("desc_act").value_or(false)) out += ", columns in the order of their activations";
  return out;
}

// mxfp4: pairs of tensors, NAME_blocks and NAME_scales.
Status read_blocks(const StoredTensors& stored, PackedTensors& out) {
  constexpr std::string_view kBlocks = "_blocks";
  for (const auto& [name, tensor] : stored) {
    if (!name.ends_with(kBlocks)) continue;
    const std::string weight = name.substr(0, name.size() - kBlocks.size());
    const auto scales = stored.find(weight + "_scales");
    ASSIGN_OR_RETURN(PackedWeight read, read_mxfp4(*tensor, scales == stored.end() ? nullptr : scales->second));
    out.read.insert({name, scales->first});
    out.tensors.push_back({weight, name, std::move(read)});
  }
  out.scheme = "mxfp4";
  return ok_status();
}

}  // namespace

const SafetensorsTensor* PackedModule::find(std::string_view part) {
  const auto found = stored_.find(name_ + "." + std::string(part));
  if (found == stored_.end()) return nullptr;
  read_.insert(found->first);
  return found->second;
}

Result<const SafetensorsTensor*> PackedModule::require(std::string_view part, size_t dimensions,
                                                       std::string_view types) {
  const SafetensorsTensor* tensor = find(part);
  if (tensor == nullptr) return wrong(part, "is missing (download the model again)");
  if ((" " + std::string(types) + " ").find(" " + tensor->type_name + " ") == std::string::npos) {
    return wrong(part, "has the type " + tensor->type_name + ", expected " + std::string(types));
  }
  if (tensor->shape.size() != dimensions) {
    return wrong(part,
                 "has " + std::to_string(tensor->shape.size()) + " dimensions, expected " + std::to_string(dimensions));
  }
  for (const int64_t size : tensor->shape) {
    if (size <= 0) return wrong(part, "has no elements");
  }
  return tensor;
}

Status PackedModule::wrong(std::string_view part, const std::string& what) const {
  return invalid_argument("tensor " + quoted_name(name_ + "." + std::string(part)) + ": " + what);
}

Result<PackedTensors> read_packed_tensors(const ConfigView& config, const StoredTensors& stored) {
  const std::string method = config.get_string("quant_method").value_or("");
  RETURN_IF_ERROR(config.status());
  PackedTensors out;
  if (method.empty()) return out;
  if (method == "mxfp4") {
    RETURN_IF_ERROR(read_blocks(stored, out));
    return out;
  }
  if (!is_known(method)) {
    return invalid_argument(
        "quantization_config.quant_method: " + quoted_name(method) +
        " is not supported (gptq, awq, compressed-tensors, fp8 and mxfp4 are; or give the model as BF16, "
        "or as GGUF)");
  }
  for (const auto& [name, tensor] : stored) {
    for (const std::string_view suffix : kOfActivations) {
      if (name.ends_with(suffix)) out.read.insert(name);
    }
    for (const Scheme& scheme : kSchemes) {
      if (scheme.method != method || !name.ends_with("." + std::string(scheme.marker)) || out.read.contains(name)) {
        continue;
      }
      PackedModule module(stored, name.substr(0, name.size() - scheme.marker.size() - 1), out.read);
      ASSIGN_OR_RETURN(PackedWeight weight, scheme.read(module, config));
      out.tensors.push_back({module.name() + ".weight", name, std::move(weight)});
    }
  }
  RETURN_IF_ERROR(config.status());
  out.scheme = describe(method, config);
  return out;
}

}  // namespace strata
