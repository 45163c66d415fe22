// Writes a model as a GGUF file with another element type.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"
#include "model/format/importance.h"

namespace strata {

class GgufFile;
class ThreadPool;

struct QuantizeProgress {
  std::string tensor;  // being written
  int64_t done = 0;    // tensors written
  int64_t total = 0;
};

struct QuantizeResult {
  uint64_t source_bytes = 0;  // of the tensors
  uint64_t bytes = 0;
  int64_t fallbacks = 0;                        // tensors whose rows did not allow the wanted type (quantization_mix.h)
  std::vector<std::string> without_importance;  // quantized tensors that `importance` says nothing about
};

// `source`: a GGUF file or a Hugging Face folder; `target`: the GGUF file, which appears only when it is whole;
// `type`: a name of quantization_mix.h. The result does not depend on the number of threads. Tensors that have the
// wanted type already are copied. `importance`: of the columns, by which
// errors count. `tokenizer`: a GGUF file whose tokenizer the target has, in the place of the source's; it outlives the
// call. kInvalidArgument: an unknown type; quantizing blocks of
// fewer than 8 bits again; importance of another model.
Result<QuantizeResult> quantize_file(const std::filesystem::path& source, const std::filesystem::path& target,
                                     std::string_view type, ThreadPool& pool,
                                     const std::function<void(const QuantizeProgress&)>& progress = {},
                                     const Importance* importance = nullptr, const GgufFile* tokenizer = nullptr);
// The same of a model that is open.
Result<QuantizeResult> quantize_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& target,
                                           std::string_view type, ThreadPool& pool,
                                           const std::function<void(const QuantizeProgress&)>& progress = {},
                                           const Importance* importance = nullptr,
                                           const GgufFile* tokenizer = nullptr);

}  // namespace strata
