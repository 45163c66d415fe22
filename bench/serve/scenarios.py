#!/usr/bin/env python3
"""What a running server does to those inside when more comes: three scenarios, each printed as one JSON object.

Usage: scenarios.py gap      URL [--streams 8] [--words 1540]
       scenarios.py prefix   URL STRATA [--clients 16] [--words 1000]
       scenarios.py overload URL STRATA [--rates 0.5,1,...] [--times 10] [--seconds 60]

gap       STREAMS streams run; then one long prompt (about 1.3 tokens a word) arrives. Prints the usual gap of the streams
          (their median before), the longest one while the prompt was computed, and the prompt's time to first token
          beside what it takes alone. Targets: longest <= 2 x usual, TTFT <= 2.5 x alone.
prefix    CLIENTS requests at once that share a system prompt of WORDS words, twice with different questions: cold, then warm.
          Prints the TTFT of both and how many prompt tokens the server found in its prefix cache.
overload  Finds the sustainable rate: the highest of RATES (requests/s, open loop) at which 95 of 100 requests are answered
          within 3 times the end-to-end time of a single client. Then sends TIMES that rate for SECONDS. Prints goodput (answers within 3 x the unloaded
          end-to-end p50) as a share of the sustainable rate, TTFT of the admitted against the unloaded, and how fast
          refusals came. Start the server with limits (docs/guides/serve-under-load.md). Each phase is printed to standard
          error as it ends; --unloaded and --sustainable take what an earlier call found instead of measuring it again.

Standard library only; one thread watches all streams of `gap`, so that measuring costs little of the machine.
"""
import argparse
import json
import random
import selectors
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request

WORDS = "the king went into a forest and said to his daughter that river was old when night came home with bread".split()


LOAD = ("--prompt-words", 128, "--max-tokens", 64)  # of `overload`


def text_of(words, seed):
    choose = random.Random(seed)
    return " ".join(choose.choice(WORDS) for _ in range(words))


class Stream:
    """One streamed completion; `times` are the arrivals of its events."""

    def __init__(self, url, model, prompt, max_tokens):
        body = json.dumps({"model": model, "prompt": prompt, "max_tokens": max_tokens, "stream": True, "ignore_eos": True, "temperature": 0}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.socket = socket.create_connection((url.hostname, url.port))
        self.started = time.perf_counter()
        self.socket.sendall(head.encode() + body)
        self.times = []
        self.over = False
        self.tail = b""

    def read(self):
        data = self.socket.recv(65536)
        now = time.perf_counter()
        if not data:
            self.over = True
            return
        seen = self.tail + data
        self.times += [now] * (seen.count(b"data: {") - self.tail.count(b"data: {"))
        self.tail = seen[-6:]

    def ttft(self):
        return self.times[0] - self.started


def watch(streams, until):
    """Reads all streams until `until()`; it is asked after every event."""
    selector = selectors.DefaultSelector()
    for stream in streams:
        if not stream.over:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
    while not until() and selector.get_map():
        for key, _ in selector.select(0.5):
            key.data.read()
            if key.data.over:
                selector.unregister(key.fileobj)
    selector.close()


def first_model(url):
    with urllib.request.urlopen(f"http://{url.netloc}/v1/models") as answer:
        return json.load(answer)["data"][0]["id"]


def metric(url, name):
    with urllib.request.urlopen(f"http://{url.netloc}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{"))


def gap(args):
    model = first_model(args.url)
    seed = time.time_ns()  # a server that runs for longer has not seen the prompts
    alone = Stream(args.url, model, text_of(args.words, seed), 1)
    watch([alone], lambda: alone.over)
    streams = [Stream(args.url, model, text_of(20, seed + 2 + i), 4096) for i in range(args.streams)]
    ready = [0.0]

    def running():
        if not ready[0] and all(len(s.times) > 4 for s in streams):
            ready[0] = time.perf_counter()
        return ready[0] and time.perf_counter() - ready[0] > args.before

    watch(streams, running)
    prompt = Stream(args.url, model, text_of(args.words, seed + 1), 1)
    watch(streams + [prompt], lambda: prompt.over)
    end = prompt.times[0]
    usual, during = [], []
    for stream in streams:
        for earlier, later in zip(stream.times, stream.times[1:]):
            if later <= prompt.started and earlier >= ready[0]:
                usual.append(later - earlier)
            elif later > prompt.started and earlier < end:
                during.append(later - earlier)
        stream.socket.close()
    median = statistics.median(usual)
    during.sort()
    return {"usual_gap_ms": median * 1e3, "usual_longest_ms": max(usual) * 1e3, "during_p50_ms": during[len(during) // 2] * 1e3,
            "longest_gap_ms": during[-1] * 1e3, "longest_of_usual": during[-1] / median, "ttft_s": prompt.ttft(),
            "alone_s": alone.ttft(), "ttft_of_alone": prompt.ttft() / alone.ttft()}


def bench(args, *options):
    """The report of one load. `bench serve` also ends with an error where single requests failed; the report says which."""
    command = [args.strata, "bench", "serve", f"http://{args.url.netloc}", "--json", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"{' '.join(command)}: no report (status {done.returncode})\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def prefix(args):
    result = {}
    for seed, name in ((1, "cold"), (2, "warm")):  # the system prompt is the same for every seed
        before = metric(args.url, "vllm:prefix_cache_hits_total")
        report = bench(args, "--requests", args.clients, "--concurrency", args.clients, "--system-words", args.words,
                       "--prompt-words", args.question, "--max-tokens", 64, "--seed", seed)
        result[name] = {"ttft_ms": report["ttft_ms"], "output_tok_s": report["output_tok_s"], "failures": report["failures"],
                        "prompt_tokens": report["prompt_tokens"], "cached_tokens": metric(args.url, "vllm:prefix_cache_hits_total") - before}
    return result


def told(name, phase):
    print(json.dumps({name: phase}), file=sys.stderr, flush=True)
    return phase


def unloaded(args):
    if args.unloaded:
        ttft, e2e = map(float, args.unloaded.split(","))
        return {"ttft_ms": ttft, "e2e_ms": e2e}
    report = bench(args, *LOAD, "--requests", 8, "--concurrency", 1, "--seed", 11)
    return told("unloaded", {"ttft_ms": report["ttft_ms"]["p50"], "e2e_ms": report["e2e_ms"]["p50"]})


def sustainable(args, limits):
    """The highest rate at which 95 of 100 are answered in time, and what became of each rate. A refusal is no answer."""
    if args.sustainable:
        return args.sustainable, {}
    best, tried = 0.0, {}
    for rate in map(float, args.rates.split(",")):
        report = bench(args, *LOAD, *limits, "--rate", rate, "--requests", max(20, int(rate * args.probe)), "--seed", int(rate * 1000))
        tried[rate] = told(rate, {"in_time": report["goodput"]["share"], "e2e_p95": report["e2e_ms"]["p95"], "statuses": report["statuses"]})
        if tried[rate]["in_time"] < 0.95:
            break
        best = rate
    return best, tried


def overload(args):
    alone = unloaded(args)
    limits = ("--e2e-limit", round(3 * alone["e2e_ms"]))
    rate, tried = sustainable(args, limits)
    result = {"unloaded": alone, "rates": tried, "sustainable_rps": rate}
    if not rate:
        return {**result, "error": "no rate is sustainable (give lower --rates)"}
    sent = args.times * rate
    report = bench(args, *LOAD, *limits, "--rate", sent, "--requests", int(sent * args.seconds), "--seed", 99)
    good = report["goodput"]["requests"] / args.seconds
    return {**result, "sent_rps": sent, "statuses": report["statuses"], "goodput_rps": good, "goodput_of_sustainable": good / rate,
            "in_time_of_admitted": report["goodput"]["requests"] / max(1, report["statuses"].get("200", 0)),
            "ttft_ms": report["ttft_ms"], "ttft_p99_of_unloaded": report["ttft_ms"]["p99"] / alone["ttft_ms"],
            "e2e_ms": report["e2e_ms"], "rejected_ms": report.get("rejected_ms")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=("gap", "prefix", "overload"))
    parser.add_argument("url", type=urllib.parse.urlparse)
    parser.add_argument("strata", nargs="?")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--words", type=int)
    parser.add_argument("--question", type=int, default=16, help="prefix: words after the system prompt")
    parser.add_argument("--before", type=float, default=3, help="gap: seconds of undisturbed streams")
    parser.add_argument("--rates", default="0.5,1,1.5,2,2.5,3,3.5,4,5,6")
    parser.add_argument("--probe", type=float, default=15, help="overload: seconds of each rate")
    parser.add_argument("--unloaded", metavar="TTFT_MS,E2E_MS")
    parser.add_argument("--sustainable", type=float, metavar="RATE")
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    if args.scenario != "gap" and args.strata is None:
        parser.error(f"{args.scenario} needs the strata binary, which makes its load")
    args.words = args.words or (1540 if args.scenario == "gap" else 1000)
    print(json.dumps({"gap": gap, "prefix": prefix, "overload": overload}[args.scenario](args)))


if __name__ == "__main__":
    main()
