#!/usr/bin/env python3
"""Ours and theirs, alternating: medians of the ratios.

Usage: compare.py FIGURE... --ours "strata.py STRATA MODEL" --peer "NAME=llama_cpp.py BIN MODEL.gguf --flags '-fa 1'" ...
                  [--rounds 5] [--log FILE] [--json]
Every command is a driver of this folder (or another program) that takes figures as arguments and prints one JSON line with "figure" and "tok_s" for each. Every round
runs ours, then each peer; a ratio is that of one round. Give a peer several times with other flags: the best flags may differ by figure. With --log the rounds are
kept in FILE, and the medians are over all rounds found there: for machines that are quiet only for short times. --rounds 0 only prints.
"""
import argparse
import json
import pathlib
import shlex
import subprocess
import sys

import figures


def run(command, wanted):
    words = shlex.split(command)
    if words[0].endswith(".py"):   # a driver of this folder
        words = [sys.executable, str(pathlib.Path(__file__).parent / words[0]), *words[1:]]
    done = subprocess.run([*words, *wanted], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{command}: {(done.stderr or done.stdout).strip()[-500:]}", file=sys.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["figure"]: line for line in lines}


def summarize(figure, rounds):
    """One figure over all rounds that have it: ours, its fractions and ceilings, each peer's speed and the ratio to it."""
    own = [r["ours"][figure] for r in rounds if figure in r["ours"]]
    if not own:
        return None
    result = {"figure": figure, "rounds": len(own), "ours_tok_s": figures.median([o["tok_s"] for o in own])}
    for key in own[0]:
        if "fraction" in key:
            result[key] = figures.median([o[key] for o in own])
    if "machine" in own[0]:
        names = [key for key in own[0]["machine"] if key.endswith(("gops", "gbs"))]
        result["ceilings"] = {key: [min(o["machine"][key] for o in own), max(o["machine"][key] for o in own)] for key in names}
    result["peers"] = {}
    for name in dict.fromkeys(name for r in rounds for name in r["peers"]):
        pairs = [(r["ours"][figure]["tok_s"], r["peers"][name][figure]["tok_s"]) for r in rounds
                 if figure in r["ours"] and figure in r["peers"].get(name, {})]
        if pairs:
            ratios = [mine / theirs for mine, theirs in pairs]
            result["peers"][name] = {"rounds": len(pairs), "tok_s": figures.median([theirs for _, theirs in pairs]), "ratio": figures.median(ratios),
                                     "least": min(ratios), "most": max(ratios)}
    return result


def show(result):
    fractions = ", ".join(f"{key} {value:.3f}" for key, value in result.items() if "fraction" in key)
    print(f"{result['figure']}: ours {result['ours_tok_s']:.1f} tokens/s ({fractions})")
    for name, peer in sorted(result["peers"].items(), key=lambda item: item[1]["ratio"]):
        print(f"  {name}: {peer['tok_s']:.1f} tokens/s, ratio {peer['ratio']:.2f} ({peer['least']:.2f} to {peer['most']:.2f}, {peer['rounds']} rounds)")
    if "ceilings" in result:
        print("  ceilings: " + ", ".join(f"{key} {low:.0f} to {high:.0f}" for key, (low, high) in result["ceilings"].items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="+", metavar="FIGURE")
    parser.add_argument("--ours", required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", type=pathlib.Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    peers = dict(peer.split("=", 1) for peer in args.peer)
    rounds = [json.loads(line) for line in args.log.read_text().splitlines()] if args.log and args.log.exists() else []
    for _ in range(args.rounds):
        rounds.append({"ours": run(args.ours, args.figures), "peers": {name: run(command, args.figures) for name, command in peers.items()}})
        if args.log:
            with args.log.open("a") as log:
                print(json.dumps(rounds[-1]), file=log)
    for result in filter(None, (summarize(figure, rounds) for figure in args.figures)):
        print(json.dumps(result), flush=True) if args.json else show(result)


main()
