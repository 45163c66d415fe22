#!/usr/bin/env python3
"""Makes tiny folders (Llama; for MXFP4 gpt-oss) whose weights are packed in every scheme that is read: tests/data/packed/NAME.

Usage: packed_weights.py [--out DIR]
Needs torch, transformers and safetensors; compressed-tensors, where it is installed, must unpack what is packed here.

The packing and the numbers that packed weights stand for are written down here from the schemes' definitions, the
latter in fp32. golden.json has the FNV-1a hash of every dequantized weight's bytes and the logits of the model with
these weights in fp32, computed by transformers.
"""
import argparse
import json
import pathlib
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import GptOssConfig, GptOssForCausalLM, LlamaConfig, LlamaForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = dict(vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, rms_norm_eps=1e-5,
             bos_token_id=1, eos_token_id=2)
IDS = [1, 17, 40, 5, 33, 62, 9, 9, 28, 51, 3, 44]
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def pack(codes, bits):
    """Neighbours along the last axis in a word of 32 bits, the lowest bits first."""
    per = 32 // bits
    *outer, n = codes.shape
    padded = np.zeros((*outer, -(-n // per) * per), np.uint64)
    padded[..., :n] = codes
    words = padded.reshape(*outer, -1, per)
    out = sum(words[..., i] << np.uint64(bits * i) for i in range(per))
    return torch.from_numpy(out.astype(np.uint32).view(np.int32).copy())


def group_codes(w, group_of, n_groups, bits, symmetric):
    """Codes [n, k], scales and zeros [n, groups] near to w."""
    n, k = w.shape
    top = 2**bits - 1
    scale = np.zeros((n, n_groups), np.float32)
    zero = np.zeros((n, n_groups), np.int64)
    for g in range(n_groups):
        part = w[:, group_of == g]
        if symmetric:
            scale[:, g] = np.abs(part).max(1) / (top // 2)
            zero[:, g] = (top + 1) // 2
        else:
            low, high = np.minimum(part.min(1), 0), np.maximum(part.max(1), 0)
            scale[:, g] = (high - low) / top
            zero[:, g] = np.clip(np.rint(-low / scale[:, g]), 1, top)
    return scale, zero


def quantize(w, scale, zero, group_of, top):
    return np.clip(np.rint(w / scale[:, group_of]) + zero[:, group_of], 0, top).astype(np.int64)


def integers(w, scale, zero, group_of, bits):
    codes = quantize(w, scale, zero, group_of, 2**bits - 1)
    return codes, scale[:, group_of] * (codes - zero[:, group_of]).astype(np.float32)


def gptq(w, rng, bits=4, group=32, symmetric=True, order=False, v2=False):
    n, k = w.shape
    n_groups = k // group
    group_of = rng.permutation(np.arange(k) // group) if order else np.arange(k) // group
    scale, zero = group_codes(w, group_of, n_groups, bits, symmetric)
    scale = scale.astype(np.float16).astype(np.float32)
    codes, dequantized = integers(w, scale, zero, group_of, bits)
    return {"qweight": pack(codes, bits).T.contiguous(), "qzeros": pack((zero - (0 if v2 else 1)).T, bits).contiguous(),
            "scales": torch.from_numpy(scale.T.copy()).half(), "g_idx": torch.from_numpy(group_of.astype(np.int32))}, dequantized


def awq(w, rng, group=32):
    n, k = w.shape
    group_of = np.arange(k) // group
    scale, zero = group_codes(w, group_of, k // group, 4, False)
    scale = scale.astype(np.float16).astype(np.float32)
    codes, dequantized = integers(w, scale, zero, group_of, 4)

    def alternate(x):  # number i of a word is that of column AWQ_ORDER[i]
        return x.reshape(*x.shape[:-1], -1, 8)[..., AWQ_ORDER].reshape(x.shape)

    return {"qweight": pack(alternate(codes.T), 4), "qzeros": pack(alternate(zero.T), 4),
            "scales": torch.from_numpy(scale.T.copy()).half()}, dequantized


def ct_pack(w, rng, bits=4, group=32, symmetric=True, order=False):
    n, k = w.shape
    group = group or k
    group_of = rng.permutation(np.arange(k) // group) if order else np.arange(k) // group
    scale, zero = group_codes(w, group_of, k // group, bits, symmetric)
    scale = torch.from_numpy(scale).bfloat16()
    codes, dequantized = integers(w, scale.float().numpy(), zero, group_of, bits)
    out = {"weight_packed": pack(codes, bits), "weight_scale": scale, "weight_shape": torch.tensor([n, k])}
    if not symmetric:
        out["weight_zero_point"] = pack(zero.T, bits).T.contiguous()
    if order:
        out["weight_g_idx"] = torch.from_numpy(group_of.astype(np.int32))
    check_compressed(out, codes, zero, bits, symmetric)
    return out, dequantized


def check_compressed(out, codes, zero, bits, symmetric):
    try:
        from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
    except ImportError:
        try:
            from compressed_tensors.compressors.quantized_compressors.pack_quantized import unpack_from_int32
        except ImportError:
            return
    offset = 2 ** (bits - 1)
    assert np.array_equal(unpack_from_int32(out["weight_packed"], bits, torch.Size(codes.shape)).numpy() + offset, codes)
    if not symmetric:
        unpacked = unpack_from_int32(out["weight_zero_point"], bits, torch.Size(zero.shape), packed_dim=0)
        assert np.array_equal(unpacked.numpy() + offset, zero)


def int8(w, rng, symmetric=True):
    group_of = np.zeros(w.shape[1], np.int64)
    scale, zero = group_codes(w, group_of, 1, 8, symmetric)
    codes, dequantized = integers(w, scale, zero, group_of, 8)
    out = {"weight": torch.from_numpy((codes - 128).astype(np.int8)), "weight_scale": torch.from_numpy(scale)}
    if not symmetric:
        out["weight_zero_point"] = torch.from_numpy((zero - 128).astype(np.int8))
    return out, dequantized


def fp8(w, rng, rows=None, columns=None, name="weight_scale", scale_type=torch.float32):
    n, k = w.shape
    rows, columns = rows or n, columns or k
    blocks = [(r, c) for r in range(0, n, rows) for c in range(0, k, columns)]
    shape = (-(-n // rows), -(-k // columns))
    full, scale = torch.zeros(n, k), torch.zeros(shape)
    for r, c in blocks:
        scale[r // rows, c // columns] = float(np.abs(w[r:r + rows, c:c + columns]).max()) / 448
    scale = scale.to(scale_type)
    for r, c in blocks:
        full[r:r + rows, c:c + columns] = scale[r // rows, c // columns].float()
    codes = (torch.from_numpy(w) / full).to(torch.float8_e4m3fn)
    out = {"weight": codes, name: scale if shape != (1, 1) else scale.reshape(1)}
    if name == "weight_scale":
        out["input_scale"] = torch.tensor([0.5])
    return out, (full * codes.float()).numpy()


def compressed(fmt, bits, kind="int", **weights):
    return {"quant_method": "compressed-tensors", "format": fmt, "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": bits, "type": kind, **weights}}}}


def of_gptq(**more):
    return {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True, **more}


SCHEMES = {
    "gptq": (lambda w, r: gptq(w, r), of_gptq()),
    "gptq-asym": (lambda w, r: gptq(w, r, symmetric=False), of_gptq(sym=False)),
    "gptq-v2-act-order": (lambda w, r: gptq(w, r, symmetric=False, order=True, v2=True),
                          of_gptq(sym=False, desc_act=True, checkpoint_format="gptq_v2")),
    "gptq-8bit": (lambda w, r: gptq(w, r, bits=8), of_gptq(bits=8)),
    "awq": (lambda w, r: awq(w, r), {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}),
    "ct-pack": (lambda w, r: ct_pack(w, r), compressed("pack-quantized", 4, strategy="group", group_size=32)),
    "ct-pack-asym-channel": (lambda w, r: ct_pack(w, r, group=None, symmetric=False),
                             compressed("pack-quantized", 4, strategy="channel", symmetric=False)),
    "ct-pack-act-order": (lambda w, r: ct_pack(w, r, order=True),
                          compressed("pack-quantized", 4, strategy="group", group_size=32, actorder="group")),
    "ct-int8": (lambda w, r: int8(w, r), compressed("int-quantized", 8, strategy="channel")),
    "ct-int8-asym": (lambda w, r: int8(w, r, False), compressed("int-quantized", 8, strategy="channel", symmetric=False)),
    "ct-fp8-channel": (lambda w, r: fp8(w, r, rows=1, scale_type=torch.bfloat16),
                       compressed("float-quantized", 8, "float", strategy="channel")),
    "ct-fp8-block": (lambda w, r: fp8(w, r, 48, 32),
                     compressed("float-quantized", 8, "float", strategy="block", block_structure=[48, 32])),
    "fp8-block": (lambda w, r: fp8(w, r, 48, 32, "weight_scale_inv"),
                  {"quant_method": "fp8", "weight_block_size": [48, 32], "activation_scheme": "dynamic", "fmt": "e4m3"}),
    "fp8-tensor": (lambda w, r: fp8(w, r), {"quant_method": "fp8", "activation_scheme": "static"}),
}


FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def mxfp4(w):
    """Blocks and scales of rows of w, and the numbers they stand for."""
    blocks = w.reshape(*w.shape[:-1], -1, 32)
    exponent = np.clip(np.ceil(np.log2(np.abs(blocks).max(-1) / 6)), -127, 127)
    scale = np.exp2(exponent).astype(np.float32)[..., None]
    codes = np.abs(blocks[..., None] / scale[..., None] - FP4).argmin(-1).astype(np.uint8)
    return torch.from_numpy(codes[..., 0::2] | codes[..., 1::2] << 4), torch.from_numpy((exponent + 127).astype(np.uint8)), \
        (FP4[codes] * scale).reshape(w.shape)


def make_gpt_oss(out):
    torch.manual_seed(11)
    sizes = dict(SIZES, intermediate_size=32, head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=8,
                 layer_types=["sliding_attention"], rope_theta=150000.0, attention_bias=True)
    model = GptOssForCausalLM(GptOssConfig(**{k: v for k, v in sizes.items() if k != "rope_theta"},
                                           rope_parameters={"rope_type": "default", "rope_theta": 150000.0})).float()
    stored, hashes = {}, {}
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_((torch.randn_like(parameter) * 0.15 + (key.endswith("norm.weight"))).half())
            if not key.endswith(("gate_up_proj", "down_proj")):
                stored[key] = parameter.detach().half().clone()
                continue
            blocks, scales, dequantized = mxfp4(parameter.detach().numpy().transpose(0, 2, 1))
            parameter.copy_(torch.from_numpy(dequantized.transpose(0, 2, 1)))
            stored.update({key + "_blocks": blocks.contiguous(), key + "_scales": scales.contiguous()})
            hashes[key] = fnv(np.ascontiguousarray(dequantized, np.float32).tobytes())
        logits = model.eval()(torch.tensor([IDS])).logits[0, -4:]
    write("mxfp4", out, stored, hashes, logits, {"architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", **sizes,
          "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}})


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def make(name, scheme, quantization, out):
    torch.manual_seed(11)
    rng = np.random.default_rng(7)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).float()
    stored, hashes = {}, {}
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_((torch.randn_like(parameter) * (0.15 if parameter.dim() == 2 else 0.3) + (parameter.dim() == 1)).half())
            if not key.endswith("_proj.weight"):
                stored[key] = parameter.detach().half().clone()
                continue
            parts, dequantized = scheme(parameter.detach().numpy(), rng)
            parameter.copy_(torch.from_numpy(dequantized))
            stored.update({key.removesuffix("weight") + part: tensor for part, tensor in parts.items()})
            hashes[key] = fnv(np.ascontiguousarray(dequantized, np.float32).tobytes())
        logits = model.eval()(torch.tensor([IDS])).logits[0, -4:]
    write(name, out, stored, hashes, logits, {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
          "rope_theta": 10000.0, **SIZES, "quantization_config": quantization})


def write(name, out, stored, hashes, logits, config):
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    golden = {"ids": IDS, "weights": hashes, "logits": [[float(f"{x:.7g}") for x in row] for row in logits.tolist()]}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir())} bytes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "data" / "packed")
    args = parser.parse_args()
    for name, (scheme, quantization) in SCHEMES.items():
        make(name, scheme, quantization, args.out)
    make_gpt_oss(args.out)


if __name__ == "__main__":
    main()
