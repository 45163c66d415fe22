// Weights that a Hugging Face folder holds in a packed form: for each module several tensors (numbers of few bits,
// scales, zeros) that together are one weight. config.json says by which scheme (quantization_config.quant_method);
// each has a file of its own. A weight is presented under its module's name, "....q_proj.weight", as rows of INT4, INT8
// or FP8 blocks that stand for exactly the numbers of the scheme's formula in fp32, or as F32 where no block can: odd
// sizes, columns out of order, eight bits with zeros.
//
// Schemes that also say how activations are rounded are computed with Strata's own rule for activations.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/tensor/dtype.h"
#include "model/format/config_view.h"
#include "model/format/row_source.h"
#include "model/format/safetensors.h"

namespace strata {

using StoredTensors = std::map<std::string, const SafetensorsTensor*, std::less<>>;

// The tensors of one module. What was looked up counts as read.
class PackedModule {
 public:
  PackedModule(const StoredTensors& stored, std::string name, std::set<std::string>& read)
      : stored_(stored), name_(std::move(name)), read_(read) {}

  const std::string& name() const { return name_; }
  const SafetensorsTensor* find(std::string_view part);
  // With this many dimensions and one of these types (as the file spells them, one after the other: "F16 BF16 F32").
  Result<const SafetensorsTensor*> require(std::string_view part, size_t dimensions, std::string_view types);
  Status wrong(std::string_view part, const std::string& what) const;  // "tensor NAME.PART: WHAT"

 private:
  const StoredTensors& stored_;
  std::string name_;
  std::set<std::string>& read_;
};

inline constexpr std::string_view kScaleTypes = "F16 BF16 F32";

struct PackedWeight {
  std::vector<int64_t> shape;  // [n, k]
  DType type = DType::kF32;
  std::shared_ptr<const RowSource> rows;
};

// `scheme`: quantization_config.
Result<PackedWeight> read_gptq(PackedModule& module, const ConfigView& scheme);
Result<PackedWeight> read_awq(PackedModule& module, const ConfigView& scheme);
Result<PackedWeight> read_compressed_tensors(PackedModule& module, const ConfigView& scheme);
Result<PackedWeight> read_fp8(PackedModule& module, const ConfigView& scheme);

// gpt-oss: `scales` of the same name, or null.
Result<PackedWeight> read_mxfp4(const SafetensorsTensor& blocks, const SafetensorsTensor* scales);

struct PackedTensor {
  std::string name;    // "....q_proj.weight"; of MXFP4 "....gate_up_proj"
  std::string stored;  // the tensor that stands for it in the file
  PackedWeight weight;
};
struct PackedTensors {
  std::string scheme;  // "gptq, 4 bits, groups of 128"; empty: nothing is packed
  std::vector<PackedTensor> tensors;
  std::set<std::string> read;  // stored tensors that are part of them, or say nothing about weights
};

// `scheme`: quantization_config, or what stands for it. kInvalidArgument names a scheme that is not known, or the
// tensor and what is wrong with it.
Result<PackedTensors> read_packed_tensors(const ConfigView& scheme, const StoredTensors& stored);

}  // namespace strata
