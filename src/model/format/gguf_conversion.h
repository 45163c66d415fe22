// How a model becomes a GGUF file: which tensors it has, from which stored ones each is made, and its metadata. For a
// GGUF file that is a copy; for a Hugging Face folder names, bytes and configuration are translated as llama.cpp's
// converter does it (gguf_architectures.h), so that both programs read the result.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"
#include "model/format/gguf_output_tensor.h"
#include "model/format/gguf_writer.h"

namespace strata {

struct GgufConversion {
  std::string architecture;                 // general.architecture
  const GgufArchitecture* entry = nullptr;  // of a folder
  int64_t n_layers = 0;
  int64_t n_experts = 0;
  std::vector<GgufOutputTensor> tensors;  // views into the checkpoint and `copied`
  std::vector<TensorInfo> copied;         // of a GGUF file, as stored
  std::deque<TensorInfo> repeated;        // of shared layers, under the names of all but the first
};

// kInvalidArgument names what GGUF, or this program, has no form for: a model type, a tensor.
Result<GgufConversion> plan_gguf_conversion(const Checkpoint& checkpoint);

// Everything but the general.file_type: configuration, tokenizer (of a folder: from tokenizer.json; none is allowed),
// chat template. `tokenizer`: of a folder, a file that has these in its place; may be null.
Status write_gguf_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer,
                           const GgufFile* tokenizer = nullptr);

}  // namespace strata
