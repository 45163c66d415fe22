#!/usr/bin/env python3
"""strata train as a user meets it: killed at random moments and resumed with other thread counts, served, out of disk.

Usage: train_test.py STRATA REPOSITORY [KILLS]     (standard library only)
"""
import hashlib
import json
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

STRATA, ROOT = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
KILLS = int(sys.argv[3]) if len(sys.argv) > 3 else 4
RECIPE = """
model: {architecture: LlamaForCausalLM, hidden_size: 48, intermediate_size: 96, num_hidden_layers: 2,
        num_attention_heads: 4, num_key_value_heads: 2}
tokenizer: {kind: KIND, vocab: 400}
data: {paths: TEXT, separator: <|endofstory|>, validation: 0.1, block_bytes: 8192, shuffle_blocks: 3}
schedule: {peak: 5e-3, steps: 40, warmup_steps: 4}
run: {precision: PRECISION, context: 64, batch_tokens: 512, micro_tokens: 256, checkpoint_every: 3, validate_every: 20}
"""
FILES = ["model.safetensors", "checkpoint.safetensors", "tokenizer.json", "config.json"]


def hashes(folder):
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


class Train(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def recipe(self, kind="bpe", precision="fp32", text=ROOT / "recipes/tales.txt"):
        path = self.folder / f"{kind}-{precision}.yaml"
        path.write_text(RECIPE.replace("KIND", kind).replace("PRECISION", precision).replace("TEXT", f'"{text}"'))
        return path

    def command(self, out, *more, kind="bpe", precision="fp32"):
        return [STRATA, "train", str(self.recipe(kind, precision)), "--out", str(self.folder / out), *map(str, more)]

    def train(self, out, *more, kind="bpe", precision="fp32", **options):
        return subprocess.run(self.command(out, *more, kind=kind, precision=precision), capture_output=True, text=True, timeout=300, **options)

    def test_kills_change_no_bit(self):
        self.kill("fp32", KILLS)

    def test_kills_change_no_bit_in_mixed_precision(self):
        self.kill("bf16", (KILLS + 1) // 2)

    def kill(self, precision, kills):
        start = time.monotonic()
        whole = self.train("whole", "--threads", 1, precision=precision)
        seconds = time.monotonic() - start
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertEqual(json.loads(whole.stdout)["steps"], 40)
        generator = random.Random(kills)
        for _ in range(kills):
            threads = generator.randint(1, 3)
            process = subprocess.Popen(self.command("killed", "--resume", "--threads", threads, precision=precision), stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            try:
                process.communicate(timeout=generator.uniform(0, 0.6 * seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        last = self.train("killed", "--resume", "--threads", 2, precision=precision)
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertEqual(hashes(self.folder / "killed"), hashes(self.folder / "whole"))
        print(f"{kills} kills within a run in {precision} of {seconds:.1f} s: weights, checkpoint and tokenizer are bit-equal")

    def test_the_model_is_served(self):
        done = self.train("out", kind="unigram")
        self.assertEqual(done.returncode, 0, done.stderr)
        server = subprocess.Popen([STRATA, "serve", str(self.folder / "out"), "--port", "0"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        try:
            address = None
            for line in iter(server.stderr.readline, ""):
                if "listening at http://" in line:
                    address = "http://" + line.split("http://")[1].split()[0]
                    break
            self.assertIsNotNone(address)
            for _ in range(200):  # until the model is ready
                try:
                    urllib.request.urlopen(address + "/ready", timeout=30)
                    break
                except urllib.error.HTTPError:
                    time.sleep(0.05)
            body = json.dumps({"model": "out", "prompt": "The King", "max_tokens": 8, "temperature": 0}).encode()
            request = urllib.request.Request(address + "/v1/completions", body, {"Content-Type": "application/json"})
            answer = json.loads(urllib.request.urlopen(request, timeout=30).read())
            self.assertEqual(answer["usage"]["completion_tokens"], 8)
        finally:
            server.terminate()
            server.communicate(timeout=30)

    def test_a_full_disk_is_an_error_and_the_checkpoint_stays(self):
        def limited():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        done = self.train("out", preexec_fn=limited)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"strata: error: .*checkpoint\.safetensors: cannot be written")
        self.assertFalse(list((self.folder / "out").glob("*.part-*")))
        again = self.train("out", "--resume")
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_two_runs_do_not_write_one_folder(self):
        first = subprocess.Popen(self.command("out", "--threads", 1), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            while first.poll() is None and not (self.folder / "out/recipe.yaml").exists():
                time.sleep(0.01)
            second = self.train("out", "--resume")
            if first.poll() is None:  # it did not end meanwhile
                self.assertEqual(second.returncode, 1)
                self.assertIn("another run is writing this folder", second.stderr)
        finally:
            first.communicate(timeout=300)
        self.assertEqual(first.returncode, 0)

    def test_the_narrower_model_inside(self):
        path = self.recipe()
        path.write_text(path.read_text().replace("num_hidden_layers", "widths: [32, 64], num_hidden_layers"))
        out, narrow = str(self.folder / "out"), str(self.folder / "narrow.gguf")
        done = subprocess.run([STRATA, "train", str(path), "--out", out], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)

        def strata(*arguments, status=0):
            said = subprocess.run([STRATA, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(said.returncode, status, said.stderr)
            return said.stdout if status == 0 else said.stderr
        strata("quantize", out, narrow, "--type", "F32", "--width", "32")
        text = str(ROOT / "recipes/tales.txt")
        inside = json.loads(strata("score", out, "--file", text, "--width", "32"))
        self.assertAlmostEqual(inside["nll"] / json.loads(strata("score", narrow, "--file", text))["nll"], 1, delta=1e-5)
        self.assertNotEqual(inside["nll"], json.loads(strata("score", out, "--file", text))["nll"])
        self.assertRegex(strata("graph", narrow), r"f32\[48, 32\] = weight .model.layers.1.mlp.down_proj.weight")
        answer = ("-p", "The King", "-n", "8", "--temp", "0")
        self.assertEqual(strata("run", out, "--width", "32", *answer), strata("run", narrow, *answer))
        self.assertIn("width 48: the model was trained at the widths 32, 64 and 96", strata("run", out, "--width", "48", *answer, status=1))
        self.assertIn("width 48", strata("quantize", out, narrow, "--type", "F16", "--width", "48", status=1))
        self.assertIn("no narrower one inside", strata("run", narrow, "--width", "32", *answer, status=1))
        self.assertIn("--width: adapters are of whole models", strata("run", out, "--width", "32", "--adapter", "x", *answer, status=1))

    def test_memory_decides_what_is_recomputed_and_changes_no_bit(self):
        self.assertEqual(self.train("plain").returncode, 0)
        refused = self.train("small", "--memory", "1K")
        self.assertEqual(refused.returncode, 1)
        least = int(refused.stderr.split("at least ")[1].split()[0])
        small = self.train("small", "--resume", "--memory", least)
        self.assertEqual(small.returncode, 0, small.stderr)
        self.assertRegex(small.stderr, r"recompute: all of layers .* MiB in place of .*x the operations")
        self.assertEqual(hashes(self.folder / "small"), hashes(self.folder / "plain"))

    def test_odd_texts_and_paths(self):
        text = (ROOT / "recipes/tales.txt").read_text()
        (self.folder / "my texts").mkdir()
        path = self.folder / "my texts/a tale.txt"
        for name, odd in {"crlf": text.replace("\n", "\r\n"), "bom": "\ufeff" + text, "line": text.replace("\n", " ")}.items():
            path.write_text(odd, newline="")
            recipe = self.recipe(text=path)
            recipe.write_text(recipe.read_text().replace("steps: 40", "steps: 4"))
            done = subprocess.run([STRATA, "train", str(recipe), "--out", str(self.folder / name)], capture_output=True,
                                  text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_places_that_cannot_be_written_or_read(self):
        (self.folder / "file").write_text("no folder")
        for out in ("file", "file/out"):
            done = self.train(out)
            self.assertEqual(done.returncode, 1)
            self.assertIn("file", done.stderr.split("strata: error: ")[1])
        folder = subprocess.run([STRATA, "train", str(self.folder), "--out", str(self.folder / "out")], capture_output=True, text=True)
        self.assertEqual(folder.returncode, 1)
        self.assertIn("give a recipe", folder.stderr)
        (self.folder / "empty").mkdir()
        self.assertEqual(self.train("empty", "--resume").returncode, 0)  # nothing was begun yet

    def test_wrong_use(self):
        self.assertIn("--out", subprocess.run([STRATA, "train", str(self.recipe())], capture_output=True, text=True).stderr)
        missing = subprocess.run([STRATA, "train", "/nowhere.yaml", "--out", str(self.folder / "x")], capture_output=True, text=True)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("/nowhere.yaml", missing.stderr)
        self.assertEqual(self.train("done").returncode, 0)
        self.assertIn("--resume", self.train("done").stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
