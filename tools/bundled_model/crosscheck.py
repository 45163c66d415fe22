#!/usr/bin/env python3
"""Compare the exported GGUF as transformers reads it with train.py's own forward pass and tokenizer."""

import argparse
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import train


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=train.REPO / "models/strata-tales.gguf", help="the GGUF file")
    args = parser.parse_args()
    own = train.GgufModel(args.out)
    other = AutoModelForCausalLM.from_pretrained(args.out.parent, gguf_file=args.out.name, dtype=torch.float32).eval()
    worst = 0.0
    for text in ("Once upon a time there was a king who had", "In the forest stood a house, and"):
        ids = [train.BOS] + own.tokenizer.encode(text)
        with torch.no_grad():
            theirs = other(torch.tensor([ids])).logits[0]
        worst = max(worst, (theirs - own.forward(ids, [])).abs().max().item())
    print(f"largest logit difference to transformers: {worst:.2e}")
    tokenizer = AutoTokenizer.from_pretrained(args.out.parent, gguf_file=args.out.name)
    text = "Once upon a time there was a King's daughter, who said, \"Whither goest thou?\""
    same = tokenizer.encode(text) == [train.BOS] + own.tokenizer.encode(text)
    print("transformers tokenizer agrees on plain text:", same)
    return 0 if worst < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
