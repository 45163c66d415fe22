#!/usr/bin/env python3
"""Training beside PyTorch: full steps of AdamW on the same shapes, alternating; medians of both and their ratios.

Usage: compare.py STRATA PYTHON BASELINE.py [--shapes small,large] [--modes fp32,fp32-compile,bf16,bf16-compile] [--threads 2] [--steps 8] [--rounds 2] [--json]
STRATA is the program; PYTHON an interpreter that has PyTorch, which runs BASELINE.py (options --threads, --steps, --only SHAPE, --modes MODE, --wait SECONDS; prints a line
with "tok/s" and "RSS START -> peak PEAK MB" for a shape and mode). Ours are the recipes beside this file. Every round runs ours, then each mode of theirs; a ratio is that
of one round. Memory is the peak of the process (ru_maxrss) minus what it has after its start, with its libraries but without a model: of ours that is the peak of `strata
help`. The fraction of the peak is what the log of `strata train` says. Where fp32 and bf16 both run, the last line of a shape compares what they keep of a step, activations and
gradients, as `strata train` says when it begins.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def peak_mb(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: {errors.strip()[-500:]}")
    return usage.ru_maxrss >> 10, errors


def ours(o, shape, precision, folder):
    recipe = (HERE / f"{shape}.yaml").read_text().replace("../../recipes", str(HERE.parent.parent / "recipes"))
    recipe = re.sub(r"steps: \d+", f"steps: {o.steps + 2}", recipe)
    if precision != "fp32":
        recipe += f"  precision: {precision}\n"
    path = pathlib.Path(folder) / "recipe.yaml"
    path.write_text(recipe)
    out = pathlib.Path(folder) / "out"
    start, _ = peak_mb([o.strata, "help"])
    peak, said = peak_mb([o.strata, "train", str(path), "--out", str(out), "--threads", str(o.threads)])
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()][2:]
    tokens = int(re.search(r"batch_tokens: (\d+)", recipe).group(1))
    for file in sorted(out.iterdir()):
        file.unlink()
    return {"tok_s": tokens / statistics.median(line["seconds"] for line in lines), "fraction_of_peak": lines[-1]["fraction_of_peak"],
            "memory_mb": peak - start, "step_mib": float(re.search(r"activations and gradients ([0-9.]+) MiB", said).group(1))}


def theirs(o, shape, mode):
    words = [o.python, o.baseline, "--threads", str(o.threads), "--steps", str(o.steps), "--only", shape, "--modes", mode, "--wait", str(o.wait)]
    done = subprocess.run(words, capture_output=True, text=True)
    speed, memory = re.search(r"(\d+) tok/s", done.stdout), re.search(r"RSS (\d+) -> peak (\d+) MB", done.stdout)
    if speed is None or memory is None:
        raise SystemExit(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return {"tok_s": float(speed.group(1)), "memory_mb": int(memory.group(2)) - int(memory.group(1))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strata"), parser.add_argument("python"), parser.add_argument("baseline")
    parser.add_argument("--shapes", default="small,large"), parser.add_argument("--modes", default="fp32,fp32-compile,bf16,bf16-compile")
    parser.add_argument("--threads", type=int, default=2), parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2), parser.add_argument("--wait", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    report = []
    for shape in o.shapes.split(","):
        rounds = []
        for _ in range(o.rounds):
            modes = o.modes.split(",")
            with tempfile.TemporaryDirectory() as folder:
                mine = {precision: ours(o, shape, precision, folder) for precision in dict.fromkeys(mode.split("-")[0] for mode in modes)}
            rounds.append((mine, {mode: theirs(o, shape, mode) for mode in modes}))
        for mode in o.modes.split(","):
            pairs = [(mine[mode.split("-")[0]], other[mode]) for mine, other in rounds]
            middle = lambda values: statistics.median(list(values))
            report.append({"shape": shape, "mode": mode, "ours_tok_s": round(middle(m["tok_s"] for m, _ in pairs)),
                           "fraction_of_peak": round(middle(m["fraction_of_peak"] for m, _ in pairs), 3), "theirs_tok_s": round(middle(t["tok_s"] for _, t in pairs)),
                           "speed_ratio": round(middle(m["tok_s"] / t["tok_s"] for m, t in pairs), 3), "ours_mb": middle(m["memory_mb"] for m, _ in pairs),
                           "theirs_mb": middle(t["memory_mb"] for _, t in pairs), "memory_ratio": round(middle(m["memory_mb"] / t["memory_mb"] for m, t in pairs), 3)})
            if not o.json:
                r = report[-1]
                print(f"{shape:6s} {mode:13s} ours {r['ours_tok_s']:7d} tok/s, {r['fraction_of_peak']:.2f} of peak, {r['ours_mb']:5.0f} MB   theirs {r['theirs_tok_s']:7d} tok/s, "
                      f"{r['theirs_mb']:5.0f} MB   speed x{r['speed_ratio']:.2f}, memory x{r['memory_ratio']:.2f}", flush=True)
        kept = {precision: rounds[0][0][precision]["step_mib"] for precision in rounds[0][0]}
        if {"fp32", "bf16"} <= kept.keys():
            report.append({"shape": shape, "step_mib": kept, "bf16_step_memory": round(kept["bf16"] / kept["fp32"], 3)})
            if not o.json:
                print(f"{shape:6s} activations and gradients: bf16 {kept['bf16']:.1f} MiB, {kept['bf16'] / kept['fp32']:.2f} of fp32's", flush=True)
    if o.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
