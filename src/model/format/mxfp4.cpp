// MXFP4 as gpt-oss is published: NAME_blocks [..., rows, k / 32, 16] and NAME_scales [..., rows, k / 32], bytes. Byte i
// of a block holds numbers 2 i (low) and 2 i + 1; in GGUF's blocks it holds numbers i and i + 16.
#include <cstring>

#include "compute/tensor/block_codes.h"
#include "model/format/packed_module.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

class Mxfp4Rows final : public RowSource {
 public:
  Mxfp4Rows(const SafetensorsTensor& blocks, const SafetensorsTensor& scales, int64_t blocks_per_row)
      : RowSource({blocks.data, scales.data}), blocks_per_row_(blocks_per_row) {}

  void read(int64_t begin, int64_t end, std::byte* out) const override {
    for (int64_t i = begin * blocks_per_row_; i < end * blocks_per_row_; ++i, out += sizeof(BlockMXFP4)) {
      const auto* stored = reinterpret_cast<const uint8_t*>(parts()[0].data()) + i * 16;
      BlockMXFP4 block;
      uint8_t code[32];
      for (int j = 0; j < 16; ++j) {
        code[2 * j] = stored[j] & 15;
        code[2 * j + 1] = stored[j] >> 4;
      }
      write_codes(block, code);
      block.e = static_cast<uint8_t>(parts()[1][static_cast<size_t>(i)]);
      std::memcpy(out, &block, sizeof(block));
    }
  }

 private:
  int64_t blocks_per_row_;
};

}  // namespace

Result<PackedWeight> read_mxfp4(const SafetensorsTensor& blocks, const SafetensorsTensor* scales) {
  const auto wrong = [&](const std::string& what) {
    return invalid_argument("tensor " + quoted_name(blocks.name) + ": " + what);
  };
  if (scales == nullptr) return wrong("its _scales are missing (download the model again)");
  std::vector<int64_t> shape = blocks.shape;
  if (blocks.type_name != "U8" || scales->type_name != "U8" || shape.size() < 3 || shape.back() != 16) {
    return wrong("expected bytes [..., rows, k / 32, 16]");
  }
  shape.pop_back();
  if (scales->shape != shape) return wrong("its _scales have another shape");
  for (const int64_t size : shape) {
    if (size <= 0) return wrong("has no elements");
  }
  const int64_t blocks_per_row = shape.back();
  shape.back() *= 32;
  return PackedWeight{shape, DType::kMXFP4, std::make_shared<Mxfp4Rows>(blocks, *scales, blocks_per_row)};
}

}  // namespace strata
