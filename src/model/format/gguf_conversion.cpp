#include "model/format/gguf_conversion.h"

#include <cmath>
#include <map>
#include <numbers>

#include "model/format/gguf.h"
#include "model/format/gguf_folder_metadata.h"
#include "model/format/quoted_name.h"
#include "model/format/tensor_names.h"

namespace strata {
namespace {

constexpr int64_t kMaxSize = 1 << 16;  // experts, heads, elements of a head

// Row `row` of a matrix whose rotary pairs are neighbours, in the one whose pairs are half a head apart.
int64_t unpaired_row(int64_t row, int64_t head_dim) {
  const int64_t in_head = row % head_dim;
  return row - in_head + in_head % 2 * (head_dim / 2) + in_head / 2;
}

int64_t product(const std::vector<int64_t>& shape) {
  int64_t out = 1;
  for (const int64_t size : shape) out *= size;
  return out;
}

// Buffers that older checkpoints carry beside their weights.
bool is_derived(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

// Layer of "model.layers.7.…", or -1.
int64_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return -1;
  int64_t layer = 0;
  size_t i = kPrefix.size();
  for (; i < name.size() && name[i] >= '0' && name[i] <= '9' && i < kPrefix.size() + 9; ++i)
    layer = layer * 10 + (name[i] - '0');
  return layer;
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

class FolderPlan {
 public:
  FolderPlan(const Checkpoint& checkpoint, GgufConversion& plan) : checkpoint_(checkpoint), plan_(plan) {}

  Status make() {
    const ConfigView& config = checkpoint_.config();
    ASSIGN_OR_RETURN(const GgufFolderArchitecture architecture, gguf_folder_architecture(config));
    plan_.architecture = architecture.gguf;
    ASSIGN_OR_RETURN(plan_.n_layers, config.require_int("num_hidden_layers"));
    plan_.n_experts = gguf_folder_experts(config);
    RETURN_IF_ERROR(check_size("the number of experts", plan_.n_experts));
    RETURN_IF_ERROR(check_size("the rotary dimension", gguf_folder_rotary_dim(config)));
    tied_ = config.get_bool("tie_word_embeddings").value_or(false);
    if (architecture.permutes_rotary_rows) {
      ASSIGN_OR_RETURN(n_heads_, config.require_int("num_attention_heads"));
      n_kv_heads_ = config.get_int("num_key_value_heads").value_or(n_heads_);
      RETURN_IF_ERROR(check_size("num_attention_heads", n_heads_ - 1));
      RETURN_IF_ERROR(check_size("num_key_value_heads", n_kv_heads_ - 1));
    }
    if (!checkpoint_.unusable_tensors().empty()) {
      return invalid_argument("tensor " + checkpoint_.unusable_tensors().front() + " has a type that is not read");
    }
    for (const TensorInfo& tensor : checkpoint_.tensors()) RETURN_IF_ERROR(add(tensor));
    RETURN_IF_ERROR(check_experts());
    add_rope_factors();
    return config.status();
  }

 private:
  // Sizes that are allocated or multiplied before the weights confirm them.
  static Status check_size(const char* what, int64_t size) {
    if (size >= 0 && size <= kMaxSize) return ok_status();
    return invalid_argument(std::string("config.json: ") + what + " is out of range");
  }

  Status add(const TensorInfo& tensor) {
    if (is_derived(tensor.name) || layer_of(tensor.name) >= plan_.n_layers) return ok_status();
    if (tied_ && tensor.name == "lm_head.weight") return ok_status();
    const auto expert = split_expert_name(tensor.name);
    const auto name = gguf_name(expert ? expert->stacked : tensor.name, plan_.architecture);
    if (!name) return invalid_argument("GGUF has no name for tensor " + quoted_name(tensor.name));
    if (expert) return add_expert(*name, expert->expert, tensor);
    GgufOutputTensor out;
    out.name = *name;
    out.shape = tensor.shape;
    out.sources = {&tensor};
    RETURN_IF_ERROR(set_rotary_heads(tensor, out));
    plan_.tensors.push_back(std::move(out));
    return ok_status();
  }

  Status set_rotary_heads(const TensorInfo& tensor, GgufOutputTensor& out) const {
    const std::string_view name = tensor.name;
    const bool is_q = name.find(".self_attn.q_proj.") != std::string_view::npos;
    const bool is_k = name.find(".self_attn.k_proj.") != std::string_view::npos;
    if (n_heads_ == 0 || (!is_q && !is_k)) return ok_status();
    out.rotary_heads = is_q ? n_heads_ : n_kv_heads_;
    if (tensor.shape.empty() || tensor.shape[0] % (2 * out.rotary_heads) != 0) {
      return invalid_argument("tensor " + quoted_name(name) + " has rows that its heads do not divide");
    }
    return ok_status();
  }

  Status add_expert(const std::string& name, int64_t expert, const TensorInfo& tensor) {
    if (expert >= plan_.n_experts) {
      return invalid_argument("tensor " + quoted_name(tensor.name) + ": the configuration has only " +
                              std::to_string(plan_.n_experts) + " experts");
    }
    const auto [position, is_new] = stacked_.emplace(name, plan_.tensors.size());
    if (is_new) {
      GgufOutputTensor out;
      out.name = name;
      out.shape = {plan_.n_experts};
      out.shape.insert(out.shape.end(), tensor.shape.begin(), tensor.shape.end());
      out.sources.resize(static_cast<size_t>(plan_.n_experts), nullptr);
      plan_.tensors.push_back(std::move(out));
    }
    GgufOutputTensor& out = plan_.tensors[position->second];
    if (!std::equal(tensor.shape.begin(), tensor.shape.end(), out.shape.begin() + 1, out.shape.end())) {
      return data_loss("tensor " + quoted_name(tensor.name) + " has another shape than the other experts");
    }
    out.sources[static_cast<size_t>(expert)] = &tensor;
    return ok_status();
  }

  Status check_experts() const {
    for (const GgufOutputTensor& tensor : plan_.tensors) {
      for (size_t i = 0; i < tensor.sources.size(); ++i) {
        if (tensor.sources[i] == nullptr)
          return data_loss(tensor.name + ": expert " + std::to_string(i) + " is missing");
        if (tensor.sources[i]->type != tensor.sources[0]->type) {
          return data_loss(tensor.name + ": its experts have different types");
        }
      }
    }
    return ok_status();
  }

  void add_rope_factors() {
    const ConfigView& config = checkpoint_.config();
    const auto scaling = gguf_folder_rope_scaling(config);
    if (!scaling || scaling->get_string("rope_type").value_or(scaling->get_string("type").value_or("")) != "llama3")
      return;
    GgufOutputTensor out;
    out.name = "rope_freqs.weight";
    out.values = llama3_factors(*scaling, gguf_folder_rope_theta(config), gguf_folder_rotary_dim(config));
    out.shape = {static_cast<int64_t>(out.values.size())};
    plan_.tensors.push_back(std::move(out));
  }

  const Checkpoint& checkpoint_;
  GgufConversion& plan_;
  std::map<std::string, size_t> stacked_;  // name -> place in plan_.tensors
  int64_t n_heads_ = 0;                    // 0: rows are not reordered
  int64_t n_kv_heads_ = 0;
  bool tied_ = false;
};

Status plan_copy(const Checkpoint& checkpoint, GgufConversion& plan) {
  plan.architecture = checkpoint.config().get_string("gguf_architecture").value_or("");
  plan.n_layers = checkpoint.config().get_int("num_hidden_layers").value_or(0);
  plan.n_experts = checkpoint.gguf()->get_int(plan.architecture + ".expert_count").value_or(0);
  if (!checkpoint.unusable_tensors().empty()) {
    return invalid_argument("tensor " + checkpoint.unusable_tensors().front() + " has a type that is not read");
  }
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    GgufOutputTensor out;
    out.name = tensor.stored_name;
    out.shape = tensor.shape;
    out.sources = {&tensor};
    plan.tensors.push_back(std::move(out));
  }
  return ok_status();
}

}  // namespace

int64_t GgufOutputTensor::n_rows() const { return product(shape) / row_length(); }

std::span<const std::byte> GgufOutputTensor::source_row(int64_t row, std::vector<std::byte>& buffer) const {
  if (sources.empty()) return std::as_bytes(std::span(values)).subspan(static_cast<size_t>(row * row_length()) * 4);
  const int64_t rows_per_source = n_rows() / static_cast<int64_t>(sources.size());
  const TensorInfo& source = *sources[static_cast<size_t>(row / rows_per_source)];
  int64_t in_source = row % rows_per_source;
  if (rotary_heads > 0) in_source = unpaired_row(in_source, rows_per_source / rotary_heads);
  if (source.made != nullptr) return source.rows(in_source, in_source + 1, buffer);
  const size_t bytes = row_bytes(source.type, row_length());
  return source.data.subspan(static_cast<size_t>(in_source) * bytes, bytes);
}

Result<GgufConversion> plan_gguf_conversion(const Checkpoint& checkpoint) {
  GgufConversion plan;
  const Status status =
      checkpoint.gguf() != nullptr ? plan_copy(checkpoint, plan) : FolderPlan(checkpoint, plan).make();
  if (!status.ok()) return status.with_context(checkpoint.path().string());
  return plan;
}

Status write_gguf_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer) {
  if (checkpoint.gguf() == nullptr) return write_gguf_folder_metadata(checkpoint, conversion, writer);
  for (const auto& [key, value] : checkpoint.gguf()->metadata()) {
    const bool replaced = key == "general.file_type" || key == "general.quantization_version" ||
                          key == "general.alignment" || key.starts_with("split.");
    if (!replaced) writer.add(key, value);
  }
  return ok_status();
}

}  // namespace strata
