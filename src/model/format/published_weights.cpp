#include "model/format/published_weights.h"

#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "compute/tensor/quant_blocks.h"
#include "model/format/gguf.h"
#include "model/format/gguf_conversion.h"
#include "model/format/gguf_rope.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

// What gguf_config() adds to say how bytes lie (docs/adr/0002).
constexpr const char* kOfGguf[] = {"gguf_architecture", "rope_interleaved", "norm_offset", "linear_transposed",
                                   "qkv_by_group"};
// A part of Llama 3's rotary frequencies of which GGUF keeps the result alone.
constexpr std::string_view kRotaryFactors = "rope_freqs.weight";

using Stored = std::map<std::string, const GgufTensor*, std::less<>>;

Stored stored_tensors(const Checkpoint& gguf) {
  Stored stored;
  for (const GgufFile& part : gguf.gguf_parts()) {
    for (const GgufTensor& tensor : part.tensors()) stored.emplace(tensor.name, &tensor);
  }
  return stored;
}

Status read_back(const GgufOutputTensor& wanted, const GgufTensor& stored,
                 const std::function<float*(const TensorInfo&)>& of) {
  const std::string where = "tensor " + quoted_name(wanted.name);
  if (!stored.type) return invalid_argument(where + " has a type that is not read");
  if (stored.shape != wanted.shape) return invalid_argument(where + " has another shape than the configuration says");
  const int64_t columns = stored.shape.back(), length = wanted.row_length();
  std::vector<float> row(static_cast<size_t>(columns));
  const int64_t per_row = columns / length;  // vectors may be read number by number
  for (int64_t i = 0; i < wanted.n_rows(); ++i) {
    if (i % per_row == 0) {
      const size_t begin = static_cast<size_t>(i / per_row) * row_bytes(*stored.type, columns);
      dequantize_row(*stored.type, stored.data.data() + begin, row.data(), columns);
    }
    wanted.write_back(i, row.data() + i % per_row * length, of);
  }
  return ok_status();
}

}  // namespace

Result<nlohmann::json> published_config(const Checkpoint& gguf) {
  nlohmann::json config = gguf.config().json();
  for (const char* field : kOfGguf) config.erase(field);
  const Stored stored = stored_tensors(gguf);
  const auto scaled = stored.find(kRotaryFactors);
  if (scaled == stored.end()) return config;
  std::vector<float> factors;
  if (scaled->second->type == DType::kF32) {
    factors.resize(scaled->second->data.size() / sizeof(float));
    std::memcpy(factors.data(), scaled->second->data.data(), factors.size() * sizeof(float));
  }
  config["rope_scaling"] = llama3_scaling(factors, gguf_folder_rope(gguf.config()).theta);
  if (!config["rope_scaling"].is_null()) return config;
  return invalid_argument(gguf.path().string() + ": its rotary frequencies are scaled by a tensor, " +
                          std::string(kRotaryFactors) + ", that no rule of a config.json gives (train the Hugging Face "
                          "folder, or an adapter)");
}

Status read_published_weights(const Checkpoint& gguf, const nlohmann::json& config,
                              std::span<const PublishedNumbers> tensors) {
  std::vector<TensorInfo> blank;
  std::map<std::string, float*, std::less<>> numbers;
  for (const PublishedNumbers& tensor : tensors) {
    blank.push_back({tensor.name, tensor.name, DType::kF32, tensor.shape, std::as_bytes(tensor.numbers)});
    numbers.emplace(tensor.name, tensor.numbers.data());
  }
  const Checkpoint folder = Checkpoint::blank(ConfigView(config, gguf.path().string()), std::move(blank));
  ASSIGN_OR_RETURN(const GgufConversion conversion, plan_gguf_conversion(folder));
  Stored stored = stored_tensors(gguf);
  const auto of = [&](const TensorInfo& source) { return numbers.at(source.name); };
  for (const GgufOutputTensor& wanted : conversion.tensors) {
    const auto found = stored.find(wanted.name);
    if (wanted.sources.empty()) {  // made of the configuration
      if (found != stored.end()) stored.erase(found);
      continue;
    }
    if (found == stored.end())
      return invalid_argument(gguf.path().string() + ": tensor " + quoted_name(wanted.name) + " is missing");
    const Status status = read_back(wanted, *found->second, of);
    if (!status.ok()) return status.with_context(gguf.path().string());
    stored.erase(found);
  }
  if (stored.empty()) return ok_status();
  return invalid_argument(gguf.path().string() + ": tensor " + quoted_name(stored.begin()->first) +
                          " has no place in a new folder of this architecture (train the Hugging Face folder that the "
                          "file was made of, or an adapter)");
}

PublishedText published_text(const Checkpoint& gguf) {
  const auto text = [&](std::string_view key) { return std::string(gguf.gguf()->get_string(key).value_or("")); };
  PublishedText result{text("tokenizer.huggingface.json"), text("strata.tokenizer_config"),
                       text("tokenizer.chat_template")};
  if (result.tokenizer_config.empty()) result.tokenizer_json.clear();  // the one needs the other
  return result;
}

}  // namespace strata
