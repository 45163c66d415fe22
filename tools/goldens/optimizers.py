#!/usr/bin/env python3
"""Writes tests/data/train/optimizers.json: what PyTorch's optimizers, schedules and clipping do to a few numbers.

Usage: tools/goldens/optimizers.py OUT.json   (needs torch; made with 2.x, one thread)
Lion is not in PyTorch: its steps follow algorithm 2 of https://arxiv.org/abs/2302.06675, in torch arithmetic.
"""
import json
import sys

import torch

torch.set_num_threads(1)
STEPS, SIZE = 6, 8


def gradients():
    g = torch.Generator().manual_seed(5)
    return [torch.randn(SIZE, generator=g) * 3 for _ in range(STEPS)]


def start():
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(4))


def run(make, lr, clip):
    w = torch.nn.Parameter(start())
    optimizer = make([w], lr)
    average, path = w.detach().clone(), []
    for g in gradients():
        w.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_([w], clip if clip > 0 else float("inf"))
        optimizer.step()
        average = average * 0.75 + w.detach() * 0.25
        path.append({"weights": w.detach().tolist(), "average": average.tolist(), "norm": norm.item()})
    return path


class Sgd(torch.optim.Optimizer):
    """torch.optim.SGD's momentum with the decay decoupled, as AdamW does it."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
        self.inner = torch.optim.SGD(params, lr=lr, momentum=0.9)

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.mul_(1 - group["lr"] * 0.1)
        self.inner.step()


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.data.mul_(1 - group["lr"] * 0.1)
                p.data.add_((m * 0.9 + p.grad * (1 - 0.9)).sign(), alpha=-group["lr"])
                m.mul_(0.99).add_(p.grad, alpha=1 - 0.99)


def schedule(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def main():
    adamw = lambda p, lr: torch.optim.AdamW(p, lr=lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    sched = torch.optim.lr_scheduler
    golden = {
        "torch": torch.__version__,
        "start": start().tolist(),
        "gradients": [g.tolist() for g in gradients()],
        "adamw": run(adamw, 0.01, 0),
        "adamw_clipped": run(adamw, 0.01, 2.0),
        "sgd": run(Sgd, 0.01, 0),
        "lion": run(Lion, 0.01, 0),
        # Warm-up of 4 steps (rates 1/4 ... 1), then 16 steps down to a tenth; the first is step 1.
        "cosine": schedule(lambda o: sched.SequentialLR(o, [
            sched.LinearLR(o, 0.25, 1.0, 3), sched.CosineAnnealingLR(o, 16, 0.1)], [3]), 20),
        "linear": schedule(lambda o: sched.SequentialLR(o, [
            sched.LinearLR(o, 0.25, 1.0, 3), sched.LinearLR(o, 1.0, 0.1, 16)], [3]), 20),
    }
    with open(sys.argv[1], "w") as out:
        json.dump(golden, out)
        out.write("\n")


main()
