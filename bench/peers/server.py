#!/usr/bin/env python3
"""Starts a server, says how long it took from the start of the process to the first token, puts a load on it, ends it.

Usage: server.py --strata STRATA [--load "--requests 96 --concurrency 16 ..."]... -- COMMAND...
COMMAND is the server's command line, Strata's or a peer's with the same API (/v1/models, /v1/completions); {port} in it becomes a free port. Each --load is one run of
`STRATA bench serve` with these options; several runs meet the same server (cold, then warm). Prints one JSON object.
"""
import argparse
import http.client
import json
import shlex
import socket
import subprocess
import time


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strata", required=True)
    parser.add_argument("--load", action="append", default=[])
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
            bench = [args.strata, "bench", "serve", f"http://127.0.0.1:{port}", "--json", *shlex.split(options)]
            done = subprocess.run(bench, capture_output=True, text=True)
            result["loads"].append(json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()})
        print(json.dumps(result), flush=True)
    finally:
        server.terminate()
        server.wait(60)


main()
