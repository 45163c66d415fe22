// A GGUF file seen as the Hugging Face folder that it could have been made of: its config.json, and its weights as numbers
// under the published names, with all that GGUF lays differently undone. Made by the conversion of folders read
// backwards (gguf_conversion.h), so the two cannot differ.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

// kInvalidArgument: something that the file computes with has no place in a config.json.
Result<nlohmann::json> published_config(const Checkpoint& gguf);

struct PublishedNumbers {
  std::string name;
  std::vector<int64_t> shape;  // outermost first
  std::span<float> numbers;
};
// Fills in the numbers of all tensors of a folder with this configuration. kInvalidArgument names a tensor that the file
// does not have, has in another shape, or has beside these.
Status read_published_weights(const Checkpoint& gguf, const nlohmann::json& config,
                              std::span<const PublishedNumbers> tensors);

// What comes with the weights, as files of the folder; empty: the file does not have it. tokenizer.json is in files
// that `strata quantize` made of a folder.
struct PublishedText {
  std::string tokenizer_json;
  std::string tokenizer_config;  // tokenizer_config.json
  std::string chat_template;     // chat_template.jinja
};
PublishedText published_text(const Checkpoint& gguf);

}  // namespace strata
