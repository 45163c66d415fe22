#!/usr/bin/env python3
"""Figures of llama.cpp or ik_llama.cpp (the tools have the same names), as built by the user.

Usage: llama_cpp.py BIN MODEL.gguf FIGURE... [--threads N] [--repeat N] [--flags "-fa 1 -ub 2048"]
BIN holds llama-bench (prompts) and llama-batched-bench (decoding).
"""
import argparse
import json
import pathlib
import shlex

import figures


def prefill(args, sizes):
    command = [args.bin / "llama-bench", "-m", args.model, "-t", args.threads, "-p", ",".join(map(str, sizes)), "-n", 0, "-r", args.repeat, "-o", "json",
               *shlex.split(args.flags)]
    for run in json.loads(figures.output_of(list(map(str, command)))):
        figures.report(f"prefill:{run['n_prompt']}", figures.median(run["samples_ts"]), flags=args.flags)


def decode(args, batches, context):
    prompt = figures.prompt_before(context)
    room = max(batches) * (prompt + figures.GENERATED) + 256
    command = [args.bin / "llama-batched-bench", "-m", args.model, "-t", args.threads, "-c", room, "-npp", prompt, "-ntg", figures.GENERATED,
               "-npl", ",".join(map(str, batches)), *shlex.split(args.flags)]
    for line in figures.output_of(list(map(str, command)), with_errors=True).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 8 and cells[:2] == [str(prompt), str(figures.GENERATED)]:
            figures.report(f"decode:{cells[2]}@{context}", float(cells[7]), flags=args.flags)   # B, S_TG


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("model")
    parser.add_argument("figures", nargs="+", metavar="FIGURE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--flags", default="")
    args = parser.parse_args()
    parsed = [figures.parse(figure) for figure in args.figures]
    sizes = [n for kind, n, _ in parsed if kind == "prefill"]
    if sizes:
        prefill(args, sizes)
    for context, batches in figures.by_context(parsed).items():
        decode(args, batches, context)


main()
