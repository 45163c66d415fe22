#include "model/format/quantize.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "compute/tensor/quant_blocks.h"
#include "model/format/gguf_conversion.h"
#include "model/format/quantization_mix.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

constexpr size_t kChunkBytes = 16 << 20;  // of output rows held in memory

struct TypedTensor {
  const GgufOutputTensor* tensor;
  DType type;
  std::vector<std::vector<float>> importance;  // of the columns, for each matrix or for all; empty: not known

  const float* importance_of_row(int64_t row) const {
    if (importance.empty()) return nullptr;
    return importance[static_cast<size_t>(row * static_cast<int64_t>(importance.size()) / tensor->n_rows())].data();
  }
};

Status check_source(const GgufOutputTensor& tensor, DType type) {
  const DType source = tensor.source_type();
  if (source == type) return ok_status();
  if (!can_convert(source)) {
    return invalid_argument("tensor " + quoted_name(tensor.name) + " is " + std::string(name(source)) +
                            ", which is not converted (give the model as F32, F16, BF16 or Q8_0)");
  }
  // Packed safetensors are all that some models are published as.
  const bool is_packed = source == DType::kInt4 || source == DType::kInt8 || source == DType::kFP8;
  if (!is_quantized(source) || source == DType::kQ8_0 || is_packed || !is_quantized(type)) return ok_status();
  return invalid_argument("tensor " + quoted_name(tensor.name) + " is already " + std::string(name(source)) +
                          ", quantizing it again would lose more (give the model as F32, F16, BF16 or Q8_0)");
}

// One row of floats, and one as a packed tensor gives it.
struct RowBuffers {
  std::vector<float> floats;
  std::vector<std::byte> made;
};

// Writes rows [begin, end) of a tensor as `type` into `out`.
void convert_rows(const TypedTensor& typed, int64_t begin, int64_t end, std::byte* out, RowBuffers& buffers) {
  const GgufOutputTensor& tensor = *typed.tensor;
  const int64_t k = tensor.row_length();
  const size_t bytes = row_bytes(typed.type, k);
  buffers.floats.resize(static_cast<size_t>(k));
  for (int64_t row = begin; row < end; ++row, out += bytes) {
    if (typed.type == tensor.source_type() && tensor.copies_rows()) {
      std::memcpy(out, tensor.source_row(row, buffers.made).data(), bytes);
      continue;
    }
    tensor.read_row(row, buffers.floats.data(), buffers.made);
    quantize_row(typed.type, buffers.floats.data(), out, k, typed.importance_of_row(row));
  }
}

Status write_tensor(const TypedTensor& typed, ThreadPool& pool, GgufWriter& writer) {
  const int64_t n_rows = typed.tensor->n_rows();
  const size_t bytes = row_bytes(typed.type, typed.tensor->row_length());
  const int64_t chunk = std::clamp<int64_t>(static_cast<int64_t>(kChunkBytes / std::max<size_t>(bytes, 1)), 1, n_rows);
  const int64_t grain = std::max<int64_t>(1, chunk / (8 * pool.n_threads()));
  std::vector<std::byte> out(static_cast<size_t>(chunk) * bytes);
  std::vector<RowBuffers> buffers(static_cast<size_t>(pool.n_threads()));
  for (int64_t first = 0; first < n_rows; first += chunk) {
    const int64_t count = std::min(chunk, n_rows - first);
    pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int worker) {
      convert_rows(typed, first + begin, first + end, out.data() + static_cast<size_t>(begin) * bytes,
                   buffers[static_cast<size_t>(worker)]);
    });
    RETURN_IF_ERROR(writer.write(std::span(out).first(static_cast<size_t>(count) * bytes)));
  }
  return ok_status();
}

// The importance of a tensor's columns; nothing where it is not known.
Result<std::vector<std::vector<float>>> importance_of(const Importance& importance, const GgufOutputTensor& tensor) {
  std::vector<std::vector<float>> rows;
  const auto found = importance.tensors.find(tensor.name);
  if (found == importance.tensors.end()) return rows;
  const ColumnImportance& columns = found->second;
  const int64_t matrices = tensor.shape.size() == 3 ? tensor.shape[0] : 1;
  if (columns.columns != tensor.row_length() || (columns.matrices() != 1 && columns.matrices() != matrices)) {
    return invalid_argument("the importance of tensor " + quoted_name(tensor.name) +
                            " has another shape than the tensor (was it measured with another model?)");
  }
  for (int64_t i = 0; i < columns.matrices(); ++i) rows.push_back(columns.mean_squares(i));
  return rows;
}

QuantizationContext context_of(const Checkpoint& checkpoint, const GgufConversion& conversion,
                               const Importance* importance) {
  QuantizationContext context{.n_layers = conversion.n_layers, .n_experts = conversion.n_experts, .tied = true};
  context.has_importance = importance != nullptr;
  for (const GgufOutputTensor& tensor : conversion.tensors)
    context.tied = context.tied && tensor.name != "output.weight";
  const int64_t heads = checkpoint.config().get_int("num_attention_heads").value_or(1);
  const int64_t keys = checkpoint.config().get_int("num_key_value_heads").value_or(heads);
  context.heads_per_key = keys > 0 ? heads / keys : 1;
  return context;
}

}  // namespace

Result<QuantizeResult> quantize_file(const std::filesystem::path& source, const std::filesystem::path& target,
                                     std::string_view type, ThreadPool& pool,
                                     const std::function<void(const QuantizeProgress&)>& progress,
                                     const Importance* importance, const GgufFile* tokenizer) {
  RETURN_IF_ERROR(QuantizationMix::from_name(type).status());
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(source));
  return quantize_checkpoint(checkpoint, target, type, pool, progress, importance, tokenizer);
}

Result<QuantizeResult> quantize_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& target,
                                           std::string_view type, ThreadPool& pool,
                                           const std::function<void(const QuantizeProgress&)>& progress,
                                           const Importance* importance, const GgufFile* tokenizer) {
  ASSIGN_OR_RETURN(const QuantizationMix mix, QuantizationMix::from_name(type));
  ASSIGN_OR_RETURN(const GgufConversion conversion, plan_gguf_conversion(checkpoint));
  const QuantizationContext context = context_of(checkpoint, conversion, importance);

  ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(target));
  RETURN_IF_ERROR(write_gguf_metadata(checkpoint, conversion, writer, tokenizer));
  writer.add_uint("general.file_type", mix.file_type);
  writer.add_uint("general.quantization_version", 2);
  QuantizeResult result;
  std::vector<TypedTensor> tensors;
  for (const GgufOutputTensor& tensor : conversion.tensors) {
    const DType chosen = choose_type(mix, context, tensor.name, tensor.shape);
    RETURN_IF_ERROR(check_source(tensor, chosen));
    RETURN_IF_ERROR(writer.declare_tensor(tensor.name, chosen, tensor.shape));
    tensors.push_back({&tensor, chosen, {}});
    if (importance != nullptr && is_quantized(chosen) && chosen != DType::kQ8_0) {
      ASSIGN_OR_RETURN(tensors.back().importance, importance_of(*importance, tensor));
      if (tensors.back().importance.empty()) result.without_importance.push_back(tensor.name);
    }
    result.fallbacks += is_fallback(mix, context, tensor.name, tensor.shape) ? 1 : 0;
    result.bytes += static_cast<uint64_t>(tensor.n_rows()) * row_bytes(chosen, tensor.row_length());
    for (const TensorInfo* stored : tensor.sources) result.source_bytes += stored->stored_bytes();
  }
  RETURN_IF_ERROR(writer.begin_data());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (progress) progress({tensors[i].tensor->name, static_cast<int64_t>(i), static_cast<int64_t>(tensors.size())});
    RETURN_IF_ERROR(write_tensor(tensors[i], pool, writer));
    for (const TensorInfo* stored : tensors[i].tensor->sources) checkpoint.release(*stored);
  }
  RETURN_IF_ERROR(writer.finish());
  return result;
}

}  // namespace strata
