#include "model/format/grouped_integers.h"

#include <algorithm>
#include <cstring>

#include "compute/tensor/block_codes.h"
#include "compute/tensor/half.h"

namespace strata {
namespace {

constexpr int64_t kBlock = 32;

template <class T>
T load(std::span<const std::byte> data, int64_t index) {
  T value;
  std::memcpy(&value, data.data() + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

class IntegerRows final : public RowSource {
 public:
  IntegerRows(GroupedIntegers integers, std::vector<int32_t> group_of, DType type)
      : RowSource(integers.parts), w_(std::move(integers)), group_of_(std::move(group_of)), type_(type) {}

  void read(int64_t begin, int64_t end, std::byte* out) const override {
    const size_t bytes = row_bytes(type_, w_.k);
    std::vector<float> scale(static_cast<size_t>(w_.n_groups));
    std::vector<int> zero(scale.size());
    for (int64_t row = begin; row < end; ++row, out += bytes) {
      for (int64_t g = 0; g < w_.n_groups; ++g) {
        scale[static_cast<size_t>(g)] = number_at(*w_.scales, row * w_.scale_row_step + g * w_.scale_group_step);
        zero[static_cast<size_t>(g)] = w_.zero + (w_.zeros ? w_.zeros->at(row, g) : 0);
      }
      for (int64_t c = 0; c < w_.k; c += kBlock) {
        write(row, c, std::min(w_.k, c + kBlock), scale, zero, out + row_bytes(type_, c));
      }
    }
  }

 private:
  size_t group(int64_t column) const { return static_cast<size_t>(group_of_[static_cast<size_t>(column)]); }

  void write(int64_t row, int64_t begin, int64_t end, const std::vector<float>& scale, const std::vector<int>& zero,
             std::byte* out) const {
    uint8_t code[kBlock];
    w_.codes.read(row, begin, end, code);
    if (type_ == DType::kF32) {
      for (int64_t c = begin; c < end; ++c, out += sizeof(float)) {
        const float w = scale[group(c)] * static_cast<float>(code[c - begin] - zero[group(c)]);
        std::memcpy(out, &w, sizeof(w));
      }
    } else if (type_ == DType::kInt4) {
      BlockInt4 block;
      std::memcpy(block.d, &scale[group(begin)], sizeof(block.d));
      block.zero = static_cast<int8_t>(zero[group(begin)]);
      write_codes(block, code);
      std::memcpy(out, &block, sizeof(block));
    } else {
      BlockInt8 block;
      std::memcpy(block.d, &scale[group(begin)], sizeof(block.d));
      for (int i = 0; i < kBlock; ++i) block.q[i] = static_cast<int8_t>(code[i] - zero[group(begin)]);
      std::memcpy(out, &block, sizeof(block));
    }
  }

  GroupedIntegers w_;
  std::vector<int32_t> group_of_;  // of every column
  DType type_;
};

Result<std::vector<int32_t>> groups_of_columns(const PackedModule& module, const GroupedIntegers& w) {
  std::vector<int32_t> out(static_cast<size_t>(w.k));
  if (w.group_of == nullptr) {
    if (w.k % w.n_groups != 0) {
      return module.wrong("weight", std::to_string(w.k) + " columns are no " + std::to_string(w.n_groups) + " groups");
    }
    for (int64_t c = 0; c < w.k; ++c) out[static_cast<size_t>(c)] = static_cast<int32_t>(c / (w.k / w.n_groups));
    return out;
  }
  for (int64_t c = 0; c < w.k; ++c) {
    const int64_t group = whole_number_at(*w.group_of, c);
    if (group < 0 || group >= w.n_groups) {
      return module.wrong("g_idx", "column " + std::to_string(c) + " is in group " + std::to_string(group) + " of " +
                                       std::to_string(w.n_groups));
    }
    out[static_cast<size_t>(c)] = static_cast<int32_t>(group);
  }
  return out;
}

bool blocks_lie_in_groups(const std::vector<int32_t>& group_of) {
  const auto k = static_cast<int64_t>(group_of.size());
  if (k % kBlock != 0) return false;
  for (int64_t c = 0; c < k; ++c) {
    if (group_of[static_cast<size_t>(c)] != group_of[static_cast<size_t>(c / kBlock * kBlock)]) return false;
  }
  return true;
}

bool zeros_are(const GroupedIntegers& w, int zero) {
  if (!w.zeros) return w.zero == zero;
  for (int64_t row = 0; row < w.n; ++row) {
    for (int64_t g = 0; g < w.n_groups; ++g) {
      if (w.zeros->at(row, g) + w.zero != zero) return false;
    }
  }
  return true;
}

}  // namespace

uint32_t PackedIntegers::word(int64_t index) const {
  uint32_t value = 0;  // single bytes may end within a word
  const auto at = static_cast<size_t>(index) * sizeof(value);
  std::memcpy(&value, data.data() + at, std::min(sizeof(value), data.size() - at));
  return is_signed ? value ^ (bits == 4 ? 0x88888888u : 0x80808080u) : value;
}

int PackedIntegers::place_in_word(int64_t i) const {
  constexpr int kAlternating[] = {0, 4, 1, 5, 2, 6, 3, 7};
  return alternating ? kAlternating[i] : static_cast<int>(i);
}

int PackedIntegers::at(int64_t row, int64_t column) const {
  const int64_t packed = along_rows ? row : column, per = per_word();
  const int64_t index =
      along_rows ? row / per * row_step + column * column_step : row * row_step + column / per * column_step;
  return static_cast<int>(word(index) >> place_in_word(packed % per) * bits & ((1u << bits) - 1));
}

void PackedIntegers::read(int64_t row, int64_t begin, int64_t end, uint8_t* out) const {
  const int per = per_word();
  const uint32_t mask = (1u << bits) - 1;
  if (along_rows) {
    const int64_t first = row / per * row_step;
    const int shift = place_in_word(row % per) * bits;
    for (int64_t c = begin; c < end; ++c) *out++ = static_cast<uint8_t>(word(first + c * column_step) >> shift & mask);
    return;
  }
  for (int64_t c = begin; c < end; c += per) {
    const uint32_t codes = word(row * row_step + c / per * column_step);
    for (int i = 0; i < per && c + i < end; ++i) {
      *out++ = static_cast<uint8_t>(codes >> place_in_word(i) * bits & mask);
    }
  }
}

float number_at(const SafetensorsTensor& tensor, int64_t index) {
  if (tensor.type_name == "F32") return load<float>(tensor.data, index);
  if (tensor.type_name == "F16") return half_to_float(load<uint16_t>(tensor.data, index));
  if (tensor.type_name == "BF16") return bfloat16_to_float(load<uint16_t>(tensor.data, index));
  return 2 * half_of_e8m0(load<uint8_t>(tensor.data, index));
}

int64_t whole_number_at(const SafetensorsTensor& tensor, int64_t index) {
  return tensor.type_name == "I64" ? load<int64_t>(tensor.data, index) : load<int32_t>(tensor.data, index);
}

Result<PackedWeight> make_weight(const PackedModule& module, GroupedIntegers integers) {
  ASSIGN_OR_RETURN(std::vector<int32_t> group_of, groups_of_columns(module, integers));
  PackedWeight out;
  out.shape = {integers.n, integers.k};
  if (blocks_lie_in_groups(group_of)) {
    if (integers.codes.bits == 4) out.type = DType::kInt4;
    if (integers.codes.bits == 8 && zeros_are(integers, 128)) out.type = DType::kInt8;
  }
  out.rows = std::make_shared<IntegerRows>(std::move(integers), std::move(group_of), out.type);
  return out;
}

}  // namespace strata
