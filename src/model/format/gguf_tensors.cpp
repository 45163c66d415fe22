#include "model/format/gguf_tensors.h"

#include <numeric>

#include "model/format/tensor_names.h"

namespace strata {
namespace {

TensorInfo whole(const GgufTensor& tensor, std::string name) {
  return {std::move(name), std::string(tensor.name), tensor.type.value_or(DType::kF32), tensor.shape, tensor.data};
}

// Rows of q, k and v in a tensor that has them one below the other.
std::vector<int64_t> attention_rows(const ConfigView& config) {
  const auto size = [&](const char* key) {
    const auto value = config.is_int(key) ? config.get_int(key) : std::nullopt;
    return value && *value > 0 && *value < (1 << 24) ? *value : 0;
  };
  const int64_t kv = size("num_key_value_heads") * size("head_dim");
  return {size("num_attention_heads") * size("head_dim"), kv, kv};
}

// Slices along the first dimension, `rows[i]` long and named `names[i]`.
std::vector<TensorInfo> cut(const GgufTensor& tensor, const std::vector<std::string>& names,
                            const std::vector<int64_t>& rows) {
  std::vector<TensorInfo> out;
  const auto total = static_cast<size_t>(tensor.shape[0]);
  size_t first = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    TensorInfo& part = out.emplace_back(whole(tensor, names[i]));
    part.shape[0] = rows[i];
    const auto count = static_cast<size_t>(rows[i]);
    part.data = tensor.data.subspan(tensor.data.size() / total * first, tensor.data.size() / total * count);
    first += count;
  }
  return out;
}

// One tensor per index of the first dimension: the "%" in `pattern` becomes the index.
std::vector<TensorInfo> unstack(const GgufTensor& tensor, const std::string& pattern) {
  const size_t mark = pattern.find('%');
  std::vector<std::string> names;
  for (int64_t i = 0; i < tensor.shape[0]; ++i) {
    names.push_back(pattern.substr(0, mark) + std::to_string(i) + pattern.substr(mark + 1));
  }
  std::vector<TensorInfo> out = cut(tensor, names, std::vector<int64_t>(names.size(), 1));
  for (TensorInfo& part : out) part.shape.erase(part.shape.begin());
  return out;
}

}  // namespace

std::vector<TensorInfo> present_gguf_tensor(const GgufTensor& tensor, const GgufArchitecture& architecture,
                                            const ConfigView& config) {
  constexpr int64_t kMaxUnits = 1 << 16;
  std::vector<std::string> names = canonical_names(tensor.name, architecture);
  const bool plain = tensor.type && !is_quantized(*tensor.type);
  if (names.size() == 1 && names[0].find('%') != std::string::npos) {
    // A row may be cut out of blocks only where it is a whole number of them: stacked vectors are plain numbers.
    if (plain && tensor.shape.size() == 2 && tensor.shape[0] <= kMaxUnits) return unstack(tensor, names[0]);
    names = {std::string(tensor.name)};
  }
  if (names.size() > 1) {
    const std::vector<int64_t> rows = attention_rows(config);
    const bool rows_of_blocks = tensor.type && (plain || tensor.shape.size() == 2);
    if (rows_of_blocks && !tensor.shape.empty() && names.size() == rows.size() && rows[1] > 0 &&
        std::accumulate(rows.begin(), rows.end(), int64_t{0}) == tensor.shape[0]) {
      return cut(tensor, names, rows);
    }
    names = {std::string(tensor.name)};
  }
  return {whole(tensor, std::move(names[0]))};
}

}  // namespace strata
