#!/usr/bin/env python3
"""What narrower models inside a model (model.widths) are worth, and what they cost.

Usage: widths.py STRATA [--train FILE... --held-out FILE] [--steps 200] [--seed 1] [--threads 2] [--keep FOLDER] [--json]
One shape is trained plain, with widths, and plain at each width alone. All are scored on a held-out text (nats per token), the first two at every width: the plain model's
slices are what one gets without training for it. Without --train: nine tenths of the tales in recipes/tales.txt, scored on the other tenth. Times are medians of steps.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SEPARATOR = "<|endofstory|>"
WIDTHS, FULL = [64, 128, 256], 512
RECIPE = """model: {{architecture: LlamaForCausalLM, hidden_size: 128, intermediate_size: {width}, num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 4{more}}}
tokenizer: {{vocab: 1024}}
data: {{paths: {paths}, separator: {separator}, validation: 0}}
optimizer: {{weight_decay: 0.1}}
schedule: {{peak: 3e-3, steps: {steps}, warmup_steps: 30}}
run: {{seed: {seed}, context: 256, batch_tokens: 2048, checkpoint_every: 100000}}
"""


def train(o, folder, name, width, more=""):
    recipe = folder / f"{name}.yaml"
    recipe.write_text(RECIPE.format(width=width, more=more, paths=json.dumps(o.train), separator=SEPARATOR, steps=o.steps, seed=o.seed))
    out = folder / name
    subprocess.run([o.strata, "train", recipe, "--out", out, "--threads", str(o.threads)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return out, 1e3 * statistics.median(line["seconds"] for line in lines[2:])


def score(o, model, width=0):
    done = subprocess.run([o.strata, "score", model, "--file", o.held_out, "--width", str(width), "--cache-type", "F32", "--threads", str(o.threads)], check=True,
                          capture_output=True, text=True)
    said = json.loads(done.stdout)
    return said["nll"] / said["tokens"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strata"), parser.add_argument("--steps", type=int, default=200), parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train", nargs="+"), parser.add_argument("--held-out")
    parser.add_argument("--threads", type=int, default=2), parser.add_argument("--keep"), parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(o.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if o.train is None:
            tales = (HERE.parent.parent / "recipes" / "tales.txt").read_text().split(SEPARATOR)
            (folder / "train.txt").write_text(SEPARATOR.join(tale for i, tale in enumerate(tales) if i % 10 != 0))
            (folder / "held-out.txt").write_text("\n".join(tale for i, tale in enumerate(tales) if i % 10 == 0))
            o.train, o.held_out = [folder / "train.txt"], folder / "held-out.txt"
        o.train = [str(pathlib.Path(path).resolve()) for path in o.train]
        plain, plain_ms = train(o, folder, "plain", FULL)
        nested, nested_ms = train(o, folder, "nested", FULL, f", widths: {WIDTHS}")
        rows = [{"width": FULL, "nested": score(o, nested), "plain": score(o, plain), "alone": None, "ms": plain_ms}]
        config = json.loads((plain / "config.json").read_text())  # to be sliced, although nobody trained it for that
        (plain / "config.json").write_text(json.dumps({**config, "widths": WIDTHS}))
        for width in reversed(WIDTHS):
            alone, ms = train(o, folder, f"alone-{width}", width)
            rows.append({"width": width, "nested": score(o, nested, width), "plain": score(o, plain, width), "alone": score(o, alone), "ms": ms})
    if o.json:
        print(json.dumps({"rows": rows, "nested_ms": nested_ms, "plain_ms": plain_ms}))
        return
    print(f"{'width':>6}{'nested':>9}{'sliced':>9}{'alone':>9}{'ms a step':>11}")
    for row in rows:
        alone = "" if row["alone"] is None else f"{row['alone']:.3f}"
        print(f"{row['width']:>6}{row['nested']:>9.3f}{row['plain']:>9.3f}{alone:>9}{row['ms']:>11.0f}")
    print(f"a step with widths: {nested_ms:.0f} ms, {nested_ms / plain_ms:.2f} times one without; loss of the whole model {rows[0]['nested'] - rows[0]['plain']:+.3f}")


if __name__ == "__main__":
    main()
