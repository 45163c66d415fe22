#include "model/format/gguf_conversion.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "model/format/gguf.h"
#include "model/format/gguf_config.h"
#include "model/format/gguf_folder_config.h"
#include "model/format/gguf_folder_metadata.h"
#include "model/format/gguf_rope.h"
#include "model/format/quoted_name.h"
#include "model/format/shared_layers.h"
#include "model/format/tensor_names.h"

namespace strata {
namespace {

constexpr int64_t kMaxSize = 1 << 16;  // experts, heads, elements of a head

// Buffers that older checkpoints carry beside their weights.
bool is_derived(const TensorInfo& tensor) {
  constexpr std::string_view kMasks[] = {".attn.bias", ".attention.bias"};  // of causal attention, [1, 1, n, n]
  constexpr std::string_view kBuffers[] = {".rotary_emb.inv_freq", "embeddings.position_ids", ".masked_bias"};
  const auto ends = [&](std::string_view tail) { return tensor.name.ends_with(tail); };
  return std::any_of(std::begin(kBuffers), std::end(kBuffers), ends) ||
         (tensor.shape.size() == 4 && std::any_of(std::begin(kMasks), std::end(kMasks), ends));
}

class FolderPlan {
 public:
  FolderPlan(const Checkpoint& checkpoint, GgufConversion& plan) : checkpoint_(checkpoint), plan_(plan) {}

  Status make() {
    const ConfigView config = gguf_folder_config(checkpoint_);
    ASSIGN_OR_RETURN(plan_.entry, gguf_folder_architecture(checkpoint_));
    plan_.architecture = plan_.entry->gguf;
    const std::string_view layers = plan_.entry->layer_count;
    ASSIGN_OR_RETURN(plan_.n_layers, config.require_int(config.has(layers) ? layers : "num_hidden_layers"));
    plan_.n_experts = gguf_folder_experts(config);
    RETURN_IF_ERROR(check_size("the number of experts", plan_.n_experts));
    ASSIGN_OR_RETURN(sizes_, read_sizes());
    if (!checkpoint_.unusable_tensors().empty()) {
      return invalid_argument("tensor " + checkpoint_.unusable_tensors().front() + " has a type that is not read");
    }
    // GGUF has every layer of its own, and no place for exits.
    ASSIGN_OR_RETURN(const SharedLayers shared, SharedLayers::from(config));
    for (const TensorInfo& tensor : checkpoint_.tensors()) {
      if (tensor.name.starts_with("exits.")) continue;
      for (const std::string& name : shared.names(tensor.name)) {
        if (name == tensor.name) {
          RETURN_IF_ERROR(add(tensor));
        } else {
          plan_.repeated.push_back(tensor);
          plan_.repeated.back().name = name;
          RETURN_IF_ERROR(add(plan_.repeated.back()));
        }
      }
    }
    for (GgufOutputTensor& tensor : plan_.tensors) RETURN_IF_ERROR(finish(tensor));
    RETURN_IF_ERROR(scale_queries());
    add_rope_factors(checkpoint_, *plan_.entry, plan_.tensors);
    return config.status();
  }

 private:
  // Sizes that are allocated or multiplied before the weights confirm them.
  static Status check_size(const char* what, int64_t size) {
    if (size >= 0 && size <= kMaxSize) return ok_status();
    return invalid_argument(std::string("config.json: ") + what + " is out of range");
  }

  Result<GgufHeadSizes> read_sizes() const {
    const ConfigView config = gguf_folder_config(checkpoint_);
    GgufHeadSizes out;
    out.n_heads = gguf_folder_int(config, *plan_.entry, "attention.head_count").value_or(0);
    out.n_kv_heads = gguf_folder_kv_heads(config, *plan_.entry);
    out.nope = config.get_int("qk_nope_head_dim").value_or(0);
    out.v_dim = config.get_int("v_head_dim").value_or(0);
    out.padding = config.get_int("pad_token_id").value_or(-1) + 1;
    RETURN_IF_ERROR(check_size("the number of attention heads", out.n_heads - 1));
    RETURN_IF_ERROR(check_size("the number of key-value heads", out.n_kv_heads - 1));
    RETURN_IF_ERROR(check_size("qk_nope_head_dim", out.nope));
    RETURN_IF_ERROR(check_size("v_head_dim", out.v_dim));
    RETURN_IF_ERROR(check_size("the rotary dimension", gguf_folder_rotary_dim(config, *plan_.entry)));
    return out;
  }

  Status add(const TensorInfo& tensor) {
    const auto text_name = gguf_folder_text_name(checkpoint_, tensor.name);
    if (!text_name) return ok_status();
    const auto layer = split_layer_name(*text_name, *plan_.entry);
    if (is_derived(tensor) || (layer && layer->layer >= plan_.n_layers)) return ok_status();
    bool split = false;
    for (const GgufSplitRow& row : plan_.entry->splits) {
      if (!layer || layer->rest != row.published) continue;
      GgufOutputTensor& out = plan_.tensors.emplace_back();
      out.name = "blk." + std::to_string(layer->layer) + "." + std::string(row.gguf);
      out.sources = {&tensor};
      out.layout = row.layout;
      split = true;
    }
    if (split) return ok_status();
    const auto name = gguf_name(*text_name, *plan_.entry);
    if (!name) return invalid_argument("GGUF has no name for tensor " + quoted_name(tensor.name));
    if (gguf_folder_tied(gguf_folder_config(checkpoint_)) && name->name == "output.weight") return ok_status();
    if (name->index >= 0) return add_to_stack(*name, tensor);
    GgufOutputTensor& out = plan_.tensors.emplace_back();
    out.name = name->name;
    out.sources = {&tensor};
    for (const GgufLayoutRow& row : plan_.entry->layouts) {
      if (out.name.find(row.part) == std::string::npos) continue;
      out.layout = row.layout;
      out.heads = out.name.find(".attn_k.") != std::string::npos ? sizes_.n_kv_heads : sizes_.n_heads;
    }
    return ok_status();
  }

  // One expert of a layer, one head's norm.
  Status add_to_stack(const GgufName& name, const TensorInfo& tensor) {
    const bool expert = tensor.name.find(".experts.") != std::string::npos;
    if (name.index >= (expert ? plan_.n_experts : kMaxSize)) {
      return invalid_argument("tensor " + quoted_name(tensor.name) + ": the configuration has only " +
                              std::to_string(expert ? plan_.n_experts : kMaxSize) + " of these");
    }
    const auto [position, is_new] = stacked_.emplace(name.name, plan_.tensors.size());
    if (is_new) {
      plan_.tensors.emplace_back().name = name.name;
      if (expert) plan_.tensors.back().sources.resize(static_cast<size_t>(plan_.n_experts), nullptr);
    }
    auto& sources = plan_.tensors[position->second].sources;
    sources.resize(std::max(sources.size(), static_cast<size_t>(name.index) + 1), nullptr);
    sources[static_cast<size_t>(name.index)] = &tensor;
    return ok_status();
  }

  // Checks the sources of a tensor and gives it its shape.
  Status finish(GgufOutputTensor& tensor) const {
    tensor.sizes = sizes_;
    for (size_t i = 0; i < tensor.sources.size(); ++i) {
      const TensorInfo* source = tensor.sources[i];
      if (source == nullptr) return data_loss(tensor.name + ": number " + std::to_string(i) + " is missing");
      if (source->type != tensor.sources[0]->type) {
        return data_loss(tensor.name + ": its parts have different types");
      }
      if (source->shape != tensor.sources[0]->shape) {
        return data_loss("tensor " + quoted_name(source->name) + " has another shape than the others of its kind");
      }
    }
    RETURN_IF_ERROR(tensor.set_shape());
    if (stacked_.contains(tensor.name)) {
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(tensor.sources.size()));
    }
    return ok_status();
  }

  // llama.cpp divides the scores of some architectures by the root of what it takes query_pre_attn_scalar to be: what
  // the configuration says instead goes into the queries, or into their norm.
  Status scale_queries() {
    const double factor = gguf_folder_query_factor(gguf_folder_config(checkpoint_), *plan_.entry);
    if (!(factor > 0) || !std::isfinite(factor)) return invalid_argument("config.json: query_pre_attn_scalar");
    if (factor == 1) return ok_status();
    const auto has = [&](std::string_view part) {
      return [part](const GgufOutputTensor& tensor) { return tensor.name.find(part) != std::string::npos; };
    };
    const bool normed = std::any_of(plan_.tensors.begin(), plan_.tensors.end(), has(".attn_q_norm."));
    for (GgufOutputTensor& tensor : plan_.tensors) {
      if (has(normed ? ".attn_q_norm." : ".attn_q.")(tensor)) tensor.factor = factor;
    }
    return ok_status();
  }

  const Checkpoint& checkpoint_;
  GgufConversion& plan_;
  GgufHeadSizes sizes_;
  std::map<std::string, size_t> stacked_;  // name -> place in plan_.tensors
};

Status plan_copy(const Checkpoint& checkpoint, GgufConversion& plan) {
  plan.architecture = checkpoint.config().get_string("gguf_architecture").value_or("");
  const GgufArchitecture& entry = gguf_architecture(checkpoint.gguf_parts());
  plan.n_layers = checkpoint.config().get_int(entry.layer_count).value_or(0);
  plan.n_experts = checkpoint.gguf()->get_int(plan.architecture + ".expert_count").value_or(0);
  if (!checkpoint.unusable_tensors().empty()) {
    return invalid_argument("tensor " + checkpoint.unusable_tensors().front() + " has a type that is not read");
  }
  for (const GgufFile& part : checkpoint.gguf_parts()) {
    for (const GgufTensor& tensor : part.tensors()) {
      std::string name = canonical_names(tensor.name, entry).front();
      plan.copied.push_back({std::move(name), std::string(tensor.name), *tensor.type, tensor.shape, tensor.data});
    }
  }
  for (const TensorInfo& tensor : plan.copied) {
    GgufOutputTensor& out = plan.tensors.emplace_back();
    out.name = tensor.stored_name;
    out.shape = tensor.shape;
    out.sources = {&tensor};
  }
  return ok_status();
}

}  // namespace

Result<GgufConversion> plan_gguf_conversion(const Checkpoint& checkpoint) {
  GgufConversion plan;
  const Status status =
      checkpoint.gguf() != nullptr ? plan_copy(checkpoint, plan) : FolderPlan(checkpoint, plan).make();
  if (!status.ok()) return status.with_context(checkpoint.path().string());
  return plan;
}

Status write_gguf_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer,
                           const GgufFile* tokenizer) {
  if (checkpoint.gguf() == nullptr) return write_gguf_folder_metadata(checkpoint, conversion, writer, tokenizer);
  for (const auto& [key, value] : checkpoint.gguf()->metadata()) {
    const bool replaced = key == "general.file_type" || key == "general.quantization_version" ||
                          key == "general.alignment" || key.starts_with("split.");
    if (!replaced) writer.add(key, value);
  }
  return ok_status();
}

}  // namespace strata
