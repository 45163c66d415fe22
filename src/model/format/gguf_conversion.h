// How a model becomes a GGUF file: which tensors it has, from which stored ones each is made, and its metadata. For a
// GGUF file that is a copy; for a Hugging Face folder names and configuration are translated as llama.cpp's converter
// does it, so that both programs read the result:
// - rows of q_proj and k_proj of the Llama family are reordered, so that rotary pairs become neighbours;
// - the experts of a layer are stacked to one tensor;
// - Llama 3's rope scaling becomes the tensor rope_freqs.weight.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"
#include "model/format/gguf_writer.h"

namespace strata {

struct GgufOutputTensor {
  std::string name;                        // as GGUF has it
  std::vector<int64_t> shape;              // outermost first
  std::vector<const TensorInfo*> sources;  // one; or one per expert, in order; or none when `values` holds it
  int64_t rotary_heads = 0;                // > 0: rows are reordered within this many heads
  std::vector<float> values;

  // Elements that are converted together. A vector whose elements are reordered is read one by one.
  int64_t row_length() const { return shape.empty() || (rotary_heads > 0 && shape.size() == 1) ? 1 : shape.back(); }
  int64_t n_rows() const;
  // The stored row that output row `row` is made of; `buffer` for rows that are made (TensorInfo::rows).
  std::span<const std::byte> source_row(int64_t row, std::vector<std::byte>& buffer) const;
  DType source_type() const { return sources.empty() ? DType::kF32 : sources.front()->type; }
};

struct GgufConversion {
  std::string architecture;  // general.architecture
  int64_t n_layers = 0;
  int64_t n_experts = 0;
  std::vector<GgufOutputTensor> tensors;  // views into the checkpoint
};

// kInvalidArgument names what GGUF, or this program, has no form for: a model type, a tensor.
Result<GgufConversion> plan_gguf_conversion(const Checkpoint& checkpoint);

// Everything but the general.file_type: configuration, tokenizer (of a folder: from tokenizer.json; none is allowed),
// chat template.
Status write_gguf_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer);

}  // namespace strata
