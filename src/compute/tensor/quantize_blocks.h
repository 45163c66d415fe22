// Encoders of one block each, behind quantize_row. x: the block's numbers, finite and no larger than fp16 can be;
// weight: how much the error of each counts, or null: by the largest magnitude, as every program does.
#pragma once

#include "compute/tensor/block_codes.h"

namespace strata {

// quantize_blocks.cpp
void encode_block(const float* x, const float* weight, BlockQ8_0& block);
void encode_block(const float* x, const float* weight, BlockQ4_0& block);
void encode_block(const float* x, const float* weight, BlockQ4_1& block);
void encode_block(const float* x, const float* weight, BlockQ5_0& block);
void encode_block(const float* x, const float* weight, BlockQ5_1& block);
void encode_block(const float* x, const float* weight, BlockIQ4_NL& block);
void encode_block(const float* x, const float* weight, BlockMXFP4& block);

// quantize_groups.cpp; weight is never null.
void encode_block(const float* x, const float* weight, BlockQ2_K& block);
void encode_block(const float* x, const float* weight, BlockQ3_K& block);
void encode_block(const float* x, const float* weight, BlockQ4_K& block);
void encode_block(const float* x, const float* weight, BlockQ5_K& block);
void encode_block(const float* x, const float* weight, BlockQ6_K& block);
void encode_block(const float* x, const float* weight, BlockIQ4_XS& block);

// fp16, never infinite.
uint16_t finite_half(float value);

}  // namespace strata
