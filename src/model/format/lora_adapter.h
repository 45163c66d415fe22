// A LoRA adapter as PEFT saves it (https://github.com/huggingface/peft): a folder with adapter_config.json and
// adapter_model.safetensors. To a weight W [out, in] it adds scale * B A, with A [rank, in] and B [out, rank].
//
// Thread rule: immutable after open(). The spans live as long as the adapter.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"
#include "model/format/safetensors.h"

namespace strata {

class LoraAdapter {
 public:
  struct Pair {
    TensorInfo a;     // [rank, in]
    TensorInfo b;     // [out, rank]
    float scale = 1;  // alpha / rank, or alpha / sqrt(rank) with use_rslora
  };

  // Errors name the file and the tensor or field at fault. Whatever would change the result and is not computed (DoRA,
  // trained biases, modules saved whole) is refused.
  static Result<LoraAdapter> open(const std::filesystem::path& folder);

  int64_t rank() const { return rank_; }
  double alpha() const { return alpha_; }
  const std::vector<std::string>& target_modules() const {
    return target_modules_;
  }  // "q_proj"; a pattern is one entry
  // By the canonical name of the weight it changes: "model.layers.0.self_attn.q_proj.weight".
  const std::map<std::string, Pair, std::less<>>& pairs() const { return pairs_; }
  const Pair* find(std::string_view weight) const;

 private:
  explicit LoraAdapter(SafetensorsFile file) : file_(std::move(file)) {}
  Status read_config(const ConfigView& config);
  Status read_tensors();
  Status finish_pairs();

  SafetensorsFile file_;
  int64_t rank_ = 0;
  double alpha_ = 0;
  bool rank_stabilized_ = false;
  std::vector<std::string> target_modules_;
  std::map<std::string, double> alpha_pattern_;  // end of a module's name -> its own alpha
  std::map<std::string, Pair, std::less<>> pairs_;
};

}  // namespace strata
