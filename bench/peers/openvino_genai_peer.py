#!/usr/bin/env python3
"""Figures of OpenVINO GenAI's continuous batching pipeline, in process; run it with the Python that has openvino_genai.

Usage: openvino_genai_peer.py FOLDER FIGURE... [--threads N] [--repeat N] [--chunk N] [--group N]
       openvino_genai_peer.py FOLDER load:REQUESTSxCLIENTSxPROMPTxANSWER [--prefix N]
FOLDER is an exported model with openvino_tokenizer.xml. Prompts are token ids. load: closed loop without HTTP; each client
sends its next request when its last is answered; with --prefix all prompts begin with the same N tokens.
"""
import argparse
import json
import re
import time

import figures
import numpy
import openvino
import openvino_genai

GIGABYTES_OF_CACHE = 3


class Pipeline:
    def __init__(self, args):
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.max_num_batched_tokens = args.chunk
        scheduler.cache_size = GIGABYTES_OF_CACHE
        scheduler.max_num_seqs = 256
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = args.prefix > 0
        properties = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": str(args.group), "INFERENCE_NUM_THREADS": str(args.threads)}
        start = time.perf_counter()
        self.pipeline = openvino_genai.ContinuousBatchingPipeline(args.folder, scheduler, "CPU", properties)
        self.load_s = time.perf_counter() - start
        self.requests = 0

    def add(self, ids, answer):
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = answer
        config.ignore_eos = True
        config.do_sample = False
        self.requests += 1
        return self.pipeline.add_request(self.requests, openvino.Tensor(numpy.asarray([ids], dtype=numpy.int64)), config)

    def step(self):
        self.pipeline.step()


def random_ids(seed, n):
    return numpy.random.default_rng(seed).integers(100, 20000, n).tolist()


def new_tokens(handle):
    """Tokens that came since the last call."""
    count = 0
    while handle.can_read():
        count += sum(len(output.generated_ids) for output in handle.read().values())
    return count


def prefill(pipeline, tokens, repeat):
    times = []
    for r in range(repeat + 1):
        handle = pipeline.add(random_ids(1000 + r, tokens), 1)
        start = time.perf_counter()
        while pipeline.pipeline.has_non_finished_requests():
            pipeline.step()
        times.append(time.perf_counter() - start)
        new_tokens(handle)
    return tokens / figures.median(times[1:])


def decode(pipeline, sequences, context):
    handles = [pipeline.add(random_ids(s, figures.prompt_before(context)), figures.GENERATED + 2) for s in range(sequences)]
    got = [0] * sequences
    while min(got) < 1:
        pipeline.step()
        got = [n + new_tokens(handle) for n, handle in zip(got, handles)]
    start, before, steps = time.perf_counter(), sum(got), 0
    while steps < figures.GENERATED and max(got) < figures.GENERATED + 2:
        pipeline.step()
        got = [n + new_tokens(handle) for n, handle in zip(got, handles)]
        steps += 1
    tok_s = (sum(got) - before) / (time.perf_counter() - start)
    while pipeline.pipeline.has_non_finished_requests():
        pipeline.step()
    return tok_s


def percentiles(values):
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))] * 1e3 if ordered else 0
    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1)}


def load(pipeline, requests, clients, prompt, answer, prefix):
    shared = random_ids(7, prefix)
    running, ttft, e2e, gaps, sent, tokens = {}, [], [], [], 0, 0
    start = time.perf_counter()
    while len(e2e) < requests:
        while len(running) < clients and sent < requests:
            running[sent] = [pipeline.add(shared + random_ids(100 + pipeline.requests, prompt), answer), time.perf_counter(), 0, 0.0]
            sent += 1
        pipeline.step()
        now = time.perf_counter()
        for number, entry in list(running.items()):
            handle, since, got, last = entry
            n = new_tokens(handle)
            if n == 0:
                continue
            (ttft.append(now - since) if got == 0 else gaps.append(now - last))
            entry[2], entry[3] = got + n, now
            tokens += n
            if entry[2] >= answer:
                e2e.append(now - since)
                del running[number]
    seconds = time.perf_counter() - start
    return {"requests": requests, "seconds": seconds, "output_tok_s": tokens / seconds, "ttft_ms": percentiles(ttft), "inter_token_ms": percentiles(gaps),
            "e2e_ms": percentiles(e2e)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("figures", nargs="+", metavar="FIGURE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=512, help="tokens of a step")
    parser.add_argument("--group", type=int, default=128, help="numbers of an activation that share a scale")
    parser.add_argument("--prefix", type=int, default=0)
    args = parser.parse_args()
    pipeline = Pipeline(args)
    for figure in args.figures:
        if figure.startswith("load:"):
            sizes = re.fullmatch(r"load:(\d+)x(\d+)x(\d+)x(\d+)", figure)
            print(json.dumps({"figure": figure, "load_s": pipeline.load_s, **load(pipeline, *map(int, sizes.groups()), args.prefix)}), flush=True)
            continue
        kind, n, context = figures.parse(figure)
        tok_s = prefill(pipeline, n, args.repeat) if kind == "prefill" else decode(pipeline, n, context)
        figures.report(figure, tok_s, load_s=pipeline.load_s)


main()
