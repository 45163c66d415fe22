#!/usr/bin/env python3
"""Opens adapters with PEFT and with Strata and compares the logits: one that PEFT makes here, and those that are given.

Over a Hugging Face folder and over the GGUF file made of it (F32). Needs torch, transformers and peft.
Usage: check_adapter.py STRATA FOLDER [ADAPTER ...]   (FOLDER: a model; adapters of it, as strata train writes them)
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

strata, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
torch.manual_seed(11)
torch.set_num_threads(1)


def base():
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def peft_logits(adapter, ids):
    with torch.no_grad():
        return PeftModel.from_pretrained(base(), adapter).eval()(torch.tensor([ids])).logits[0]


def strata_logits(model, adapter, ids):
    text = subprocess.run([strata, "logits", model, "--adapter", adapter, "--tokens", ",".join(map(str, ids)), "--cache-type", "F32"],
                          check=True, capture_output=True, text=True).stdout
    rows = []
    for row in json.loads(text)["positions"]:
        numbers = [0.0] * len(row)
        for token, logit in row:
            numbers[token] = logit
        rows.append(numbers)
    return torch.tensor(rows)


with tempfile.TemporaryDirectory() as name:
    out = pathlib.Path(name)
    gguf = out / "model.gguf"
    subprocess.run([strata, "quantize", folder, gguf, "--type", "F32"], check=True, capture_output=True)
    model = get_peft_model(base(), LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(out / "from_peft")
    adapters = [out / "from_peft"] + [pathlib.Path(given) for given in sys.argv[3:]]
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    ids = [i * 37 % vocab for i in range(24)]
    worst = 0.0
    for adapter in adapters:
        want = peft_logits(adapter, ids)
        span = float(want.max() - want.min())
        for tested in (folder, gguf):
            error = float((strata_logits(tested, adapter, ids) - want).abs().max()) / span
            worst = max(worst, error)
            print(f"{adapter.name} over {tested.name}: largest error {error:.1e} of the range")
    sys.exit(worst > 1e-4)
