// One tensor of a GGUF file in the making: which stored tensors it is made of, and where each of its rows lies in them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/format/checkpoint.h"
#include "model/format/gguf_architectures.h"

namespace strata {

// The sizes that layouts count in; 0 where the model has no such thing.
struct GgufHeadSizes {
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t nope = 0;     // rows of a head of kv_b_proj that belong to keys
  int64_t v_dim = 0;    // and to values
  int64_t padding = 0;  // rows before the first position
};

struct GgufOutputTensor {
  std::string name;                        // as GGUF has it
  std::vector<int64_t> shape;              // outermost first
  std::vector<const TensorInfo*> sources;  // one; or those that are stacked, in order; or none when `values` holds it
  GgufLayout layout = GgufLayout::kSame;
  int64_t heads = 0;  // of kRotaryPairs
  GgufHeadSizes sizes;
  double factor = 1;  // every element is multiplied by it
  std::vector<float> values;

  // Sets `shape` from the sources, `layout` and `sizes`; kInvalidArgument when they do not fit each other.
  Status set_shape();

  // Elements that are converted together. A vector whose elements change places is read one by one.
  int64_t row_length() const { return shape.empty() || reads_elements() ? 1 : shape.back(); }
  int64_t n_rows() const;
  DType source_type() const { return sources.empty() ? DType::kF32 : sources.front()->type; }
  // True when each row is a stored row, unchanged: source_row() may be copied.
  bool copies_rows() const;
  // `buffer`: for rows that are made (TensorInfo::rows).
  std::span<const std::byte> source_row(int64_t row, std::vector<std::byte>& buffer) const;
  // The numbers of a row, row_length() of them.
  void read_row(int64_t row, float* out, std::vector<std::byte>& buffer) const;
  // The way back: puts the numbers of a row where they lie in the sources, whose numbers `of` gives.
  void write_back(int64_t row, const float* numbers, const std::function<float*(const TensorInfo&)>& of) const;

 private:
  struct Place {
    const TensorInfo* source;
    int64_t element;  // the row's first one
    int64_t step;     // to the next
  };
  bool reads_elements() const;
  Place place(int64_t row) const;
};

}  // namespace strata
