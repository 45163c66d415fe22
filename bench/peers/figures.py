"""Names of figures, shared by the drivers: each prints one JSON object per figure it was asked for.

    prefill:512        tokens/s of a prompt of 512 tokens, alone
    decode:8@128       tokens/s of 8 sequences together, each with 128 tokens of context on average while it is measured
"""
import json
import re
import subprocess

GENERATED = 16  # tokens per sequence that a decode figure is measured over


def parse(figure):
    """("prefill", tokens, 0) or ("decode", sequences, context)."""
    match = re.fullmatch(r"(prefill):(\d+)|(decode):(\d+)@(\d+)", figure)
    if not match:
        raise SystemExit(f"unknown figure {figure!r}: prefill:TOKENS or decode:SEQUENCES@CONTEXT")
    if match[1]:
        return "prefill", int(match[2]), 0
    return "decode", int(match[4]), int(match[5])


def by_context(parsed):
    """Decode figures as {context: [sequences, ...]}: one run of a tool measures a list of batches."""
    groups = {}
    for kind, n, context in parsed:
        if kind == "decode":
            groups.setdefault(context, []).append(n)
    return groups


def prompt_before(context):
    """Tokens of prompt after which GENERATED more have this context on average."""
    return max(1, context - GENERATED // 2)


def output_of(command, with_errors=False):
    """What it wrote to standard output, and to standard error where a tool prints its table there."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr if with_errors else done.stdout


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def report(figure, tok_s, **more):
    print(json.dumps({"figure": figure, "tok_s": tok_s, **more}), flush=True)
