#!/usr/bin/env python3
"""Strata's side of a comparison: figures of `strata bench MODEL`, with the ceilings of that run.

Usage: strata.py STRATA MODEL FIGURE... [--threads N] [--repeat N] [--flags "--cpu-isa avx2"]
"""
import argparse
import json
import shlex

import figures


def bench(args, prefills, batches, context):
    sizes = ["--prefill", ",".join(map(str, prefills or [0])), "--decode-batch", ",".join(map(str, batches or [0])), "--context", context]
    command = [args.strata, "bench", args.model, "--json", "--threads", args.threads, "--repeat", args.repeat, *sizes, *shlex.split(args.flags)]
    run = json.loads(figures.output_of(list(map(str, command))))
    for row in run["prefill"] + run["decode"]:
        figure = f"prefill:{row['tokens']}" if "tokens" in row else f"decode:{row['batch']}@{context}"
        fractions = {key: value for key, value in row.items() if "fraction" in key}
        figures.report(figure, row["median_tok_s"], load_s=run["load_s"], machine=run["machine"], **fractions)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strata")
    parser.add_argument("model")
    parser.add_argument("figures", nargs="+", metavar="FIGURE")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--flags", default="")
    args = parser.parse_args()
    parsed = [figures.parse(figure) for figure in args.figures]
    prefills = [n for kind, n, _ in parsed if kind == "prefill"]
    groups = figures.by_context(parsed) or {0: []}
    for number, (context, batches) in enumerate(groups.items()):
        bench(args, prefills if number == 0 else [], batches, context)


main()
