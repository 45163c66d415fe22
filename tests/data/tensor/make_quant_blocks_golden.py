#!/usr/bin/env python3
"""Writes quant_blocks_golden.txt: what the gguf package makes of quantized blocks, and llama.cpp's quantization errors.

Lines, all numbers as hexadecimal bytes in memory order (little-endian):
  dequantize TYPE BLOCKS FLOATS     random blocks and the fp32 numbers they stand for
  quantize TYPE FLOATS BLOCKS       the only right blocks for Q8_0 and Q4_0
  error TYPE FLOATS RMSE            root mean square error of ggml's quantization of FLOATS, in decimal

usage: make_quant_blocks_golden.py LIBGGML_BASE.so      (needs numpy and gguf)
"""
import ctypes
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

TYPES = ["Q8_0", "Q4_0", "Q4_K", "Q6_K"]
HALVES = {"Q8_0": [0], "Q4_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}  # offsets of the fp16 factors in a block


def text(array):
    return array.tobytes().hex()


def random_blocks(rng, name, n_blocks):
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = rng.integers(0, 256, (n_blocks, size), dtype=np.uint8)
    for offset in HALVES[name]:
        factors = rng.normal(0, 0.01, n_blocks).astype(np.float16)
        factors[0] = np.float16(3e-7)  # subnormal
        blocks[:, offset:offset + 2] = factors.view(np.uint8).reshape(n_blocks, 2)
    return blocks


def main():
    rng = np.random.default_rng(7)
    ggml = ctypes.CDLL(sys.argv[1])
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    lines = []
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        elements, size = GGML_QUANT_SIZES[kind]
        blocks = random_blocks(rng, name, 768 // elements)
        lines.append(f"dequantize {name} {text(blocks)} {text(quants.dequantize(blocks.reshape(-1), kind))}")
        source = rng.normal(0, 0.3, 4096).astype(np.float32)
        source[64:96] = 0
        if name in ("Q8_0", "Q4_0"):
            lines.append(f"quantize {name} {text(source[:768])} {text(quants.quantize(source[:768], kind))}")
        quantized = np.zeros(len(source) // elements * size, dtype=np.uint8)
        ggml.ggml_quantize_chunk(ctypes.c_int(kind), source.ctypes.data_as(ctypes.c_void_p),
                                 quantized.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(0), ctypes.c_int64(1),
                                 ctypes.c_int64(len(source)), None)
        error = np.sqrt(np.mean((quants.dequantize(quantized, kind).astype(np.float64) - source) ** 2))
        lines.append(f"error {name} {text(source)} {error:.6e}")
    Path(__file__).with_name("quant_blocks_golden.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
