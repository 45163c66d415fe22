#include "model/format/published_rows.h"

#include <numeric>

#include "model/format/gguf_config.h"
#include "model/format/gguf_folder_config.h"
#include "model/format/gguf_output_tensor.h"
#include "model/format/tensor_names.h"

namespace strata {
namespace {

GgufLayout layout_of(const GgufArchitecture& entry, std::string_view gguf_name) {
  for (const GgufLayoutRow& row : entry.layouts) {
    const bool moves_rows = row.layout == GgufLayout::kRotaryPairs || row.layout == GgufLayout::kQueriesFirst;
    if (moves_rows && gguf_name.find(row.part) != std::string_view::npos) return row.layout;
  }
  return GgufLayout::kSame;
}

}  // namespace

// A matrix of one column, whose numbers are the published rows, is laid out as the weight was.
Result<std::vector<int64_t>> published_rows(const Checkpoint& checkpoint, std::string_view weight, int64_t n) {
  if (checkpoint.gguf() == nullptr) return std::vector<int64_t>();
  const GgufArchitecture& entry = gguf_architecture(checkpoint.gguf_parts());
  const std::optional<GgufName> name = gguf_name(weight, entry);
  const GgufLayout layout = name ? layout_of(entry, name->name) : GgufLayout::kSame;
  if (layout == GgufLayout::kSame) return std::vector<int64_t>();
  std::vector<float> numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  const TensorInfo published{std::string(weight), name->name, DType::kF32, {n, 1}, std::as_bytes(std::span(numbers))};
  GgufOutputTensor stored;
  stored.name = name->name;
  stored.sources = {&published};
  stored.layout = layout;
  stored.sizes.n_heads = gguf_folder_int(checkpoint.config(), entry, "attention.head_count").value_or(0);
  stored.sizes.n_kv_heads = gguf_folder_kv_heads(checkpoint.config(), entry);
  stored.heads = name->name.find(".attn_k.") != std::string::npos ? stored.sizes.n_kv_heads : stored.sizes.n_heads;
  RETURN_IF_ERROR(stored.set_shape());
  std::vector<int64_t> rows(static_cast<size_t>(n));
  std::vector<std::byte> buffer;
  for (int64_t row = 0; row < n; ++row) {
    float number = 0;
    stored.read_row(row, &number, buffer);
    rows[static_cast<size_t>(row)] = static_cast<int64_t>(number);
  }
  return rows;
}

}  // namespace strata
