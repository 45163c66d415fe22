#!/usr/bin/env python3
"""How long /metrics takes while a long prompt is computed, what an idle server costs, and how much memory a server holds.

Usage: quiet_metrics.py STRATA MODEL [--prompt-tokens 4000] [--weights BYTES] [--kv-bytes BYTES]
Starts `STRATA serve MODEL` on a free loopback port, waits until it is ready, then prints one JSON object: client-side
latency of GET /metrics during the prefill (milliseconds), the share of a core that the idle server uses over 5 seconds,
and resident memory (anonymous + file) after the first answer. Standard library only.
"""
import argparse
import http.client
import json
import os
import socket
import subprocess
import threading
import time


def get(port, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    start = time.perf_counter()
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, {"content-type": "application/json"})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, data, (time.perf_counter() - start) * 1e3


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    return {key: int(status[key].split()[0]) * 1024 for key in ("RssAnon", "RssFile")}


def handler_p99_ms(text):
    """Upper bound of the bucket that holds 99 % of the requests to /metrics, by the server's own histogram."""
    buckets = []
    for line in text.splitlines():
        if line.startswith("strata_http_request_duration_seconds_bucket") and 'route="/metrics"' in line:
            buckets.append((float(line.split('le="')[1].split('"')[0].replace("+Inf", "inf")), float(line.rsplit(" ", 1)[1])))
    total = max((count for _, count in buckets), default=0)
    return next((bound * 1e3 for bound, count in sorted(buckets) if total and count >= 0.99 * total), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strata")
    parser.add_argument("model")
    parser.add_argument("--prompt-tokens", type=int, default=4000)
    parser.add_argument("--kv-bytes", type=int, default=1 << 30)
    args = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([args.strata, "serve", args.model, "--port", str(port), "--kv-bytes", str(args.kv_bytes)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                if get(port, "/ready")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.2)
        model = json.loads(get(port, "/v1/models")[1])["data"][0]["id"]
        first = {"model": model, "prompt": [1, 2, 3], "max_tokens": 4, "temperature": 0}
        assert get(port, "/v1/completions", first)[0] == 200
        memory = resident(server.pid)
        time.sleep(1)
        before = cpu_seconds(server.pid)
        time.sleep(5)
        idle = (cpu_seconds(server.pid) - before) / 5

        prompt = {"model": model, "prompt": [(i * 7919) % 1000 + 3 for i in range(args.prompt_tokens)], "max_tokens": 1, "temperature": 0}
        answer = []
        thread = threading.Thread(target=lambda: answer.append(get(port, "/v1/completions", prompt)))
        thread.start()
        times = []
        while thread.is_alive():
            times.append(get(port, "/metrics")[2])
            time.sleep(0.02)
        assert answer and answer[0][0] == 200, answer
        text = get(port, "/metrics")[1].decode()
        times.sort()
        print(json.dumps({"metrics_client_ms": {"n": len(times), "p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)], "max": times[-1]},
                          "metrics_handler_p99_ms_at_most": handler_p99_ms(text), "prefill_seconds": answer[0][2] / 1e3,
                          "idle_share_of_a_core": idle, "rss_bytes_after_first_answer": memory}))
    finally:
        server.terminate()
        server.wait(60)


main()
