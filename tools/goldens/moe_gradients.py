#!/usr/bin/env python3
"""Writes tests/data/train/moe_gradients.json: gradients of mixtures of experts as PyTorch's autograd has them.

Usage: tools/goldens/moe_gradients.py GOLDEN_ARCH_FOLDER OUT.json   (needs torch and transformers 5; one thread)
Of each published tensor: its gradient's norm, largest magnitude, and first and last number, for the next-token loss of
the golden's first prompt. Where transformers has a load-balancing loss: its value, and of the routers the same numbers
for loss + 0.5 * load-balancing loss. transformers stacks experts; here they have their published names.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
MODELS = {"qwen3-moe": True, "deepseek-v3": False}  # whether there is a load-balancing loss
WEIGHT = 0.5


def published(name, gradient):
    """The published tensors of a parameter, with their gradients."""
    stem, _, kind = name.rpartition(".")
    if not stem.endswith("mlp.experts"):
        return [(name, gradient)]
    parts = []
    for expert, g in enumerate(gradient):
        halves = zip(("gate_proj", "up_proj"), g.chunk(2)) if kind == "gate_up_proj" else [(kind, g)]
        parts += [(f"{stem}.{expert}.{part}.weight", h) for part, h in halves]
    return parts


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    tensors = {}
    for name, parameter in model.named_parameters():
        for tensor, g in published(name, parameter.grad):
            numbers = (g.double().norm(), g.abs().max(), g.flatten()[0], g.flatten()[-1])
            tensors[tensor] = [float(f"{v.item():.8g}") for v in numbers]
    return tensors


def golden(folder, balances):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.tensor(json.loads((folder / "golden.json").read_text())["prompts"][0]["ids"])

    def run(**more):
        out = model(ids[None], **more)
        return out, torch.nn.functional.cross_entropy(out.logits[0, :-1], ids[1:])

    _, loss = run()
    result = {"loss": loss.item(), "tensors": gradients(model, loss)}
    if balances:
        out, loss = run(output_router_logits=True)
        result["balance"] = out.aux_loss.item()
        balanced = gradients(model, loss + WEIGHT * out.aux_loss)
        result["balanced"] = {name: g for name, g in balanced.items() if name.endswith("mlp.gate.weight")}
    return result


goldens = {name: golden(Path(sys.argv[1]) / name, balances) for name, balances in MODELS.items()}
Path(sys.argv[2]).write_text(json.dumps(goldens) + "\n")
