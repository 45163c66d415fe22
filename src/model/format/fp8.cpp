// FP8: weight [n, k] of type F8_E4M3, times weight_scale (DeepSeek: weight_scale_inv), one for all, for each row, or
// for each block of the matrix; the last blocks of rows and columns may be smaller.
#include <cstring>

#include "compute/tensor/block_codes.h"
#include "compute/tensor/half.h"
#include "model/format/grouped_integers.h"

namespace strata {
namespace {

constexpr int64_t kBlock = 32;

// Element (row / rows, column / columns) of the scales is that of a number.
struct Fp8Weight {
  int64_t n = 0, k = 0;
  const SafetensorsTensor* weight = nullptr;
  const SafetensorsTensor* scale = nullptr;
  int64_t rows = 1, columns = 1;
  int64_t scale_columns = 1;

  float scale_at(int64_t row, int64_t column) const {
    return number_at(*scale, row / rows * scale_columns + column / columns);
  }
  uint8_t code(int64_t row, int64_t column) const {
    return static_cast<uint8_t>(weight->data[static_cast<size_t>(row * k + column)]);
  }
};

class Fp8Rows final : public RowSource {
 public:
  Fp8Rows(const Fp8Weight& w, DType type) : RowSource({w.weight->data, w.scale->data}), w_(w), type_(type) {}

  void read(int64_t begin, int64_t end, std::byte* out) const override {
    for (int64_t row = begin; row < end; ++row) {
      if (type_ == DType::kF32) {
        for (int64_t c = 0; c < w_.k; ++c, out += sizeof(float)) {
          const float w = w_.scale_at(row, c) * e4m3_to_float(w_.code(row, c));
          std::memcpy(out, &w, sizeof(w));
        }
        continue;
      }
      for (int64_t c = 0; c < w_.k; c += kBlock, out += sizeof(BlockFP8)) {
        BlockFP8 block;
        const float d = w_.scale_at(row, c);
        std::memcpy(block.d, &d, sizeof(d));
        std::memcpy(block.q, w_.weight->data.data() + row * w_.k + c, sizeof(block.q));
        std::memcpy(out, &block, sizeof(block));
      }
    }
  }

 private:
  Fp8Weight w_;
  DType type_;
};

// Rows and columns of a block, where the configuration names them.
std::optional<std::vector<int64_t>> named_blocks(const ConfigView& scheme) {
  std::optional<std::vector<int64_t>> block = scheme.get_ints("weight_block_size");
  const auto groups = scheme.get_object("config_groups");  // of compressed-tensors
  for (const std::string& name : groups && !block ? groups->keys() : std::vector<std::string>{}) {
    const auto group = groups->get_object(name);
    const auto weights = group ? group->get_object("weights") : std::nullopt;
    if (weights && !block) block = weights->get_ints("block_structure");
  }
  return block && block->size() == 2 ? block : std::nullopt;
}

// The size of a block: as the configuration has it, else equal pieces.
Result<int64_t> block_size(const PackedModule& module, int64_t size, int64_t blocks, std::optional<int64_t> named) {
  if (!named && size % blocks == 0) return size / blocks;
  const int64_t block = named.value_or(0);
  if (block > 0 && block <= INT32_MAX && (size + block - 1) / block == blocks) return block;
  return module.wrong("weight_scale", std::to_string(blocks) + " scales do not fit to " + std::to_string(size) +
                                          " rows or columns in blocks of " + std::to_string(block));
}

}  // namespace

Result<PackedWeight> read_fp8(PackedModule& module, const ConfigView& scheme) {
  Fp8Weight w;
  ASSIGN_OR_RETURN(w.weight, module.require("weight", 2, "F8_E4M3"));
  const bool inverse = module.find("weight_scale_inv") != nullptr;
  const char* part = inverse ? "weight_scale_inv" : "weight_scale";
  const SafetensorsTensor* scale = module.find(part);
  if (scale == nullptr) return module.wrong(part, "is missing (download the model again)");
  ASSIGN_OR_RETURN(w.scale, module.require(part, std::min<size_t>(scale->shape.size(), 2), "F16 BF16 F32 F8_E8M0"));
  w.n = w.weight->shape[0];
  w.k = w.weight->shape[1];
  const int64_t scale_rows = scale->shape.empty() ? 1 : scale->shape[0];
  w.scale_columns = scale->shape.size() == 2 ? scale->shape[1] : 1;
  std::optional<int64_t> rows, columns;
  const auto block = named_blocks(scheme);
  if (block && (scale_rows > 1 || w.scale_columns > 1) && !(scale_rows == w.n && w.scale_columns == 1)) {
    rows = (*block)[0];
    columns = (*block)[1];
  }
  ASSIGN_OR_RETURN(w.rows, block_size(module, w.n, scale_rows, rows));
  ASSIGN_OR_RETURN(w.columns, block_size(module, w.k, w.scale_columns, columns));
  PackedWeight out;
  out.shape = {w.n, w.k};
  const bool blocks_fit = w.k % kBlock == 0 && (w.columns % kBlock == 0 || w.columns >= w.k);
  out.type = blocks_fit ? DType::kFP8 : DType::kF32;
  out.rows = std::make_shared<Fp8Rows>(w, out.type);
  return out;
}

}  // namespace strata
