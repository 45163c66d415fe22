#!/usr/bin/env python3
"""Writes tests/data/tensor/quant_blocks_golden.txt: what the gguf package and ggml make of quantized blocks.

Lines; numbers are hexadecimal bytes in memory order (little-endian), unless said otherwise:
  source FLOATS -                   numbers that the other lines quantize
  dequantize TYPE BLOCKS FLOATS     random blocks, with the smallest and largest factors, and the fp32 numbers they stand for
  quantize TYPE N BLOCKS            the only right blocks of the first N source numbers
  error TYPE N RMSE                 root mean square error of ggml's quantization of the first N, in decimal
  weighted TYPE N RMSE              the same with importance: number i of the row counts 1 + i % 7 squared, in decimal

usage: quant_blocks.py LIBGGML_BASE.so      (needs numpy and gguf)
"""
import ctypes
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

# Offsets of the fp16 factors in a block.
HALVES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": []}
PLAIN = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
N = 4096


def text(array):
    return np.ascontiguousarray(array).tobytes().hex()


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def random_blocks(rng, name, n_blocks):
    _, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    blocks = rng.integers(0, 256, (n_blocks, size), dtype=np.uint8)
    for offset in HALVES[name]:
        factors = rng.normal(0, 0.01, n_blocks).astype(np.float16)
        factors[0] = np.float16(-3e-7)  # subnormal
        factors[1] = np.float16(65504)
        blocks[:, offset:offset + 2] = factors.view(np.uint8).reshape(n_blocks, 2)
    if name == "MXFP4":
        blocks[:6, 0] = [0, 1, 2, 253, 254, 255]
    return blocks


def dequantize(ggml, name, blocks):
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    out = np.zeros(blocks.size // size * elements, dtype=np.float32)
    row = getattr(ggml, "dequantize_row_" + name.lower().replace("_k", "_K"))
    row(pointer(blocks), pointer(out), ctypes.c_int64(out.size))
    with np.errstate(over="ignore"):
        assert np.array_equal(out.view(np.uint32), quants.dequantize(blocks.reshape(-1), kind).view(np.uint32)), name
    return out


def ggml_error(ggml, name, source, importance):
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    quantized = np.zeros(source.size // elements * size, dtype=np.uint8)
    ggml.ggml_quantize_chunk(ctypes.c_int(kind), pointer(source), pointer(quantized), ctypes.c_int64(0),
                             ctypes.c_int64(1), ctypes.c_int64(source.size),
                             None if importance is None else pointer(importance))
    squares = (dequantize(ggml, name, quantized).astype(np.float64) - source) ** 2
    return np.sqrt(np.average(squares, weights=importance))


def main():
    rng = np.random.default_rng(7)
    ggml = ctypes.CDLL(sys.argv[1])
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    source = rng.normal(0, 0.3, N).astype(np.float32)
    source[64:96] = 0
    importance = ((1 + np.arange(N) % 7) ** 2).astype(np.float32)
    lines = [f"source - {text(source)} -"]
    for name in HALVES:
        kind = GGMLQuantizationType[name]
        blocks = random_blocks(rng, name, max(3, 256 // GGML_QUANT_SIZES[kind][0]))
        lines.append(f"dequantize {name} {text(blocks)} {text(dequantize(ggml, name, blocks))}")
        if name in PLAIN:
            lines.append(f"quantize {name} 768 {text(quants.quantize(source[:768], kind))}")
        lines.append(f"error {name} {N} {ggml_error(ggml, name, source, None):.6e}")
        lines.append(f"weighted {name} {N} {ggml_error(ggml, name, source, importance):.6e}")
    target = Path(__file__).parents[2] / "tests/data/tensor/quant_blocks_golden.txt"
    target.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
