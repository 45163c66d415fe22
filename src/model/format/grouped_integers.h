// Whole numbers of four or eight bits with a scale and a zero for each group of columns, as GPTQ, AWQ and
// compressed-tensors have them:  w = scale * (q - zero), computed in fp32.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/format/packed_module.h"

namespace strata {

// A matrix of whole numbers without sign, packed in words of 32 bits, the lowest bits first.
struct PackedIntegers {
  std::span<const std::byte> data;
  int bits = 4;
  bool along_rows = false;   // a word holds numbers of neighbouring rows, else of neighbouring columns
  int64_t row_step = 1;      // in words: from one row, or word of rows, to the next
  int64_t column_step = 1;   // the same for columns
  bool alternating = false;  // AWQ: eight neighbours stand in the order 0 2 4 6 1 3 5 7
  bool is_signed = false;    // two's complement: the numbers are 2^(bits - 1) higher

  int per_word() const { return 32 / bits; }
  int at(int64_t row, int64_t column) const;
  // Columns [begin, end) of a row; begin is a multiple of per_word().
  void read(int64_t row, int64_t begin, int64_t end, uint8_t* out) const;
  uint32_t word(int64_t index) const;  // as numbers without sign
  int place_in_word(int64_t i) const;  // of number i of the neighbours in a word
};

// Numbers as fp32: F16 BF16 F32 and F8_E8M0, whatever the shape.
float number_at(const SafetensorsTensor& tensor, int64_t index);

// Of I32 and I64.
int64_t whole_number_at(const SafetensorsTensor& tensor, int64_t index);

struct GroupedIntegers {
  int64_t n = 0, k = 0;
  PackedIntegers codes;
  const SafetensorsTensor* scales = nullptr;
  int64_t scale_row_step = 0, scale_group_step = 0;  // in scales, from a row or group to the next
  std::optional<PackedIntegers> zeros;               // (row, group); none: `zero` everywhere
  int zero = 0;                                      // else added to each of them
  int64_t n_groups = 1;
  const SafetensorsTensor* group_of = nullptr;  // I32 or I64 [k]: the group of a column; null: n_groups equal pieces
  std::vector<std::span<const std::byte>> parts;
};

// `module` for errors. Sizes of the tensors must have been checked; groups are checked here.
Result<PackedWeight> make_weight(const PackedModule& module, GroupedIntegers integers);

}  // namespace strata
