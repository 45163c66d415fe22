#!/usr/bin/env python3
"""Makes tests/data/lora/training: a LoRA adapter on all linear layers of golden-arch/llama, and five AdamW steps of it as
PEFT and PyTorch compute them.

start/ is the adapter before the first step (b is not zero, so that a has a gradient). train.json: the batch, the loss
before and after each step; train.safetensors: the gradient of every factor before the first step, and the factors after
the last one ("after.NAME"). Seeded; needs torch, transformers and peft.
Usage: lora_training.py GOLDEN_ARCH/llama OUT
"""
import json
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
torch.manual_seed(7)
torch.set_num_threads(1)
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
model = get_peft_model(base, LoraConfig(r=2, lora_alpha=3, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"))
factors = {name.replace(".default.", "."): p for name, p in model.named_parameters() if "lora_" in name}
assert all(p.requires_grad == ("lora_" in name) for name, p in model.named_parameters())
with torch.no_grad():
    for name, p in factors.items():
        p.copy_(torch.randn_like(p) * (0.1 if "lora_A" in name else 0.05))
out.mkdir(parents=True, exist_ok=True)
model.save_pretrained(out / "start")
(out / "start/README.md").unlink(missing_ok=True)
config = json.loads((out / "start/adapter_config.json").read_text())
config["base_model_name_or_path"] = None
config["target_modules"] = sorted(config["target_modules"])
(out / "start/adapter_config.json").write_text(json.dumps(config, indent=1))

ids = json.loads((folder / "train.json").read_text())["ids"]
batch = torch.tensor(ids)


def loss():
    logits = model(batch).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))


optimizer = torch.optim.AdamW(factors.values(), lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
golden = {"ids": ids, "loss": float(loss()), "loss_after": []}
tensors = {}
for step in range(5):
    optimizer.zero_grad()
    loss().backward()
    if step == 0:
        tensors.update({name: p.grad.clone() for name, p in factors.items()})
    optimizer.step()
    with torch.no_grad():
        golden["loss_after"].append(float(loss()))
tensors.update({"after." + name: p.detach().clone() for name, p in factors.items()})
(out / "train.json").write_text(json.dumps(golden))
save_file(tensors, out / "train.safetensors")
print(golden["loss"], golden["loss_after"])
