#!/usr/bin/env python3
"""Starts a server, says how long it took from the start of the process to the first token, puts a load on it, ends it.

Usage: server.py --strata STRATA [--load "--requests 96 --concurrency 16 ..."]... [--bound MODEL] -- COMMAND...
COMMAND is the server's command line, Strata's or a peer's with the same API (/v1/models, /v1/completions); {port} in it becomes a free port. Each --load is one run of
`STRATA bench serve` with these options; several runs meet the same server (cold, then warm). With --bound, Strata's speeds with the bare MODEL (a prompt of 128 tokens; as many sequences as there are clients, at the prompts' context) are
measured before and after, and each load says which share it reached of what the better of them allow. Prints one JSON object.
"""
import argparse
import http.client
import json
import shlex
import socket
import subprocess
import time

import figures


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_token(port, server, deadline=120):
    body = json.dumps({"prompt": "Once upon a time", "max_tokens": 1, "temperature": 0})
    start = time.perf_counter()
    while time.perf_counter() - start < deadline and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline)
        try:
            connection.request("POST", "/v1/completions", body, {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.002)
    raise SystemExit("the server gave no token")


def bare_speeds(strata, model, options):
    """Prefill and decode in tokens/s: what a server that costs nothing would be made of."""
    words = shlex.split(options)
    value = lambda flag, default: words[words.index(flag) + 1] if flag in words else default
    context = int(value("--prompt-words", 128)) + int(value("--system-words", 0))
    command = [strata, "bench", model, "--prefill", "128", "--decode-batch", str(value("--concurrency", 8)), "--context", str(context), "--json"]
    run = json.loads(figures.output_of(command))
    return run["prefill"][0]["tok_s"], run["decode"][0]["tok_s"]


def one_load(strata, port, options, bound):
    bench = [strata, "bench", "serve", f"http://127.0.0.1:{port}", "--json", *shlex.split(options)]
    before = bare_speeds(strata, bound, options) if bound else None
    done = subprocess.run(bench, capture_output=True, text=True)
    if not done.stdout:
        return {"error": done.stderr.strip()}
    result = json.loads(done.stdout)
    if bound:
        prefill, decode = map(max, before, bare_speeds(strata, bound, options))
        answered = result["requests"] - result["failures"]
        prompt, answer = result["prompt_tokens"] / answered, result["output_tokens"] / answered
        most = answer / (prompt / prefill + answer / decode)
        result["bound"] = {"prefill_tok_s": prefill, "decode_tok_s": decode, "output_tok_s": most, "fraction": result["output_tok_s"] / most}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strata", required=True)
    parser.add_argument("--load", action="append", default=[])
    parser.add_argument("--bound", metavar="MODEL")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    port = free_port()
    command = [word.replace("{port}", str(port)) for word in args.command if word != "--"]
    start = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        first_token(port, server)
        result = {"start_to_first_token_s": time.perf_counter() - start, "loads": []}
        for options in args.load:
            result["loads"].append(one_load(args.strata, port, options, args.bound))
        print(json.dumps(result), flush=True)
    finally:
        server.terminate()
        server.wait(60)


main()
