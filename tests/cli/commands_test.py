#!/usr/bin/env python3
"""The program as a user meets it: every command on the bundled model, wrong use, and a server that drains.

Usage: commands_test.py STRATA REPOSITORY     (standard library only)
"""
import http.client
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

STRATA, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = str(ROOT / "models/strata-tales.gguf")
GOLDEN = json.loads((ROOT / "tests/data/bundled/golden.json").read_text())


def strata(*arguments, status=0, text=None):
    done = subprocess.run([STRATA, *map(str, arguments)], capture_output=True, text=True, input=text, timeout=120)
    assert done.returncode == status, f"{arguments}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if status == 0 else done.stderr


class Commands(unittest.TestCase):
    def test_run_is_repeatable(self):
        one, two = (json.loads(strata("run", MODEL, "-p", "Once upon a time", "-n", 20, "--seed", 7, "--json")) for _ in range(2))
        self.assertEqual(one["tokens"], two["tokens"])
        self.assertEqual(len(one["tokens"]), 20)
        self.assertEqual(one["finish_reason"], "length")
        self.assertGreater(one["timing"]["decode_tok_s"], 0)
        self.assertEqual(strata("run", MODEL, "-p", "Once upon a time", "-n", 20, "--seed", 7).rstrip("\n"), "Once upon a time" + one["text"])

    def test_threads_and_chunks_do_not_change_the_answer(self):
        base = ["run", MODEL, "-p", "The king said to his daughter that", "-n", 24, "--seed", 3, "--json"]
        want = json.loads(strata(*base))["tokens"]
        for options in (["--threads", 1], ["--threads", 2], ["--prefill-chunk", 1], ["--max-batch-tokens", 3]):
            self.assertEqual(json.loads(strata(*base, *options))["tokens"], want, options)

    def test_logits_agree_with_pytorch(self):
        ids = GOLDEN["ids"]
        rows = json.loads(strata("logits", MODEL, "--tokens", ",".join(map(str, ids)), "--top", 10, "--cache-type", "F32"))["positions"]
        self.assertEqual(len(rows), len(ids))
        want = dict((i, v) for i, v in GOLDEN["top_logits"])
        got = dict((i, v) for i, v in rows[-1])
        scale = max(abs(v) for v in want.values())
        for token in list(want)[:3]:   # the golden has fp32 activations, Q8_0 weights multiply int8 ones
            self.assertAlmostEqual(got[token], want[token], delta=0.03 * scale)

    def test_encoders(self):
        folder = ROOT / "tests/data/arch/xlm-roberta-rerank"
        case = json.loads((folder / "golden.json").read_text())["prompts"][0]
        got = json.loads(strata("logits", folder, "--tokens", ",".join(map(str, case["ids"])), "--token-types", ",".join("0" * len(case["ids"]))))
        self.assertAlmostEqual(got["score"], case["score"][0], delta=1e-4)
        for name in ("cls", "mean"):
            for a, b in zip(got[name], case[name], strict=True):
                self.assertAlmostEqual(a, b, delta=1e-4)
        summary = json.loads(strata("inspect", folder, "--json"))
        self.assertEqual((summary["kind"], summary["n_labels"], summary["max_input"]), ("ranks", 1, 46))
        self.assertIn("generates no text", strata("run", folder, "-p", "x", status=1))
        self.assertIn("token type", strata("logits", folder, "--tokens", "5,6", "--token-types", "0,1", status=1))
        self.assertIn("at most 46", strata("logits", folder, "--tokens", ",".join("7" * 47), status=1))

    def test_tokenize_and_back(self):
        ids = json.loads(strata("tokenize", MODEL, "-p", "Once upon a time"))
        self.assertEqual(ids, GOLDEN["ids"])
        self.assertEqual(json.loads(strata("tokenize", MODEL, text="Once upon a time")), ids)
        self.assertEqual(strata("detokenize", MODEL, ",".join(map(str, ids)), "--no-special"), "Once upon a time\n")

    def test_inspect_graph_score(self):
        self.assertEqual(json.loads(strata("inspect", MODEL, "--json"))["architecture"], "LlamaForCausalLM")
        self.assertIn("paged_attention", strata("graph", MODEL))
        self.assertIn("rms_norm", strata("graph", MODEL, "--after", "build"))
        self.assertIn("head_loss(", strata("graph", MODEL, "--after", "add_loss"))
        self.assertNotIn("--- segment", strata("graph", MODEL, "--after", "differentiate"))
        self.assertIn("--- segment 1", strata("graph", MODEL, "--after", "recompute"))
        self.assertTrue(strata("graph", MODEL, "--dot").startswith("digraph"))
        self.assertIn(' f16[] = state "cache.0"', strata("graph", MODEL, "--cpu-isa", "generic"))   # --cache-type auto
        self.assertIn(' f32[] = state "cache.0"', strata("graph", MODEL, "--cpu-isa", "generic", "--cache-type", "F32"))
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
            text.write("Once upon a time there was a king who had a daughter, and she was so beautiful. " * 20)
            text.flush()
            size = os.path.getsize(text.name)
            score = json.loads(strata("score", MODEL, "--file", text.name))
            same = json.loads(strata("score", MODEL, "--file", text.name, "--against", MODEL, "--cache-type", "F32"))
            coarse = json.loads(strata("score", MODEL, "--file", text.name, "--against", MODEL, "--cache-type", "Q4"))
        self.assertGreater(score["perplexity"], 1)
        self.assertEqual((same["divergence"], same["most_divergence"], same["same_choice"]), (0, 0, 1))
        self.assertGreater(coarse["divergence"], 0)
        self.assertAlmostEqual(same["acceptance"], 1, places=6)
        self.assertTrue(0.9 < coarse["acceptance"] < 1)
        self.assertAlmostEqual(score["bits_per_byte"], score["nll"] / math.log(2) / size)
        self.assertNotIn("divergence", score)
        self.assertLess(score["perplexity"], 100)

    def test_importance_changes_the_quantization(self):
        with tempfile.TemporaryDirectory() as folder:
            text, importance = pathlib.Path(folder, "text.txt"), pathlib.Path(folder, "importance.gguf")
            text.write_text("There was once a king who had three daughters, and the youngest was the fairest. " * 30)
            done = json.loads(strata("imatrix", MODEL, "--file", text, "-o", importance))
            self.assertEqual(done["tensors"], 57)
            plain, weighted = pathlib.Path(folder, "plain.gguf"), pathlib.Path(folder, "weighted.gguf")
            strata("quantize", MODEL, plain, "--type", "Q2_K")
            report = json.loads(strata("quantize", MODEL, weighted, "--type", "Q2_K", "--imatrix", importance, "--json"))
            self.assertEqual(report["without_importance"], [])
            self.assertEqual(plain.stat().st_size, weighted.stat().st_size)
            self.assertNotEqual(plain.read_bytes(), weighted.read_bytes())
            nll = [json.loads(strata("score", model, "--file", text))["nll"] for model in (plain, weighted)]
            self.assertLess(abs(nll[1] / nll[0] - 1), 0.05)
            self.assertIn("not an importance matrix", strata("quantize", MODEL, plain, "--type", "Q2_K", "--imatrix", MODEL, status=1))

    def test_bench_of_a_model(self):
        report = json.loads(strata("bench", MODEL, "--prefill", "64,9999", "--decode-batch", "1,3", "--context", "0,40", "--repeat", 2, "--profile", "--json"))
        self.assertEqual([p["tokens"] for p in report["prefill"]], [64])
        self.assertEqual([(d["batch"], d["context"]) for d in report["decode"]], [(1, 0), (3, 0), (1, 40), (3, 40)])
        cost = report["cost"]
        self.assertEqual(cost["arithmetic"], "int8")
        self.assertIn(cost["cache_type"], ("BF16", "F16"))         # by what the processor multiplies
        self.assertLess(cost["prefill_gop"], cost["decode_gop"])   # the head is for one row only
        for figure in report["prefill"] + report["decode"]:
            self.assertGreaterEqual(figure["tok_s"], figure["median_tok_s"])
            self.assertAlmostEqual(sum(row["share"] for row in figure["profile"]), 1, places=6)
            whats = [row["what"] for row in figure["profile"]]
            self.assertTrue(any(what.startswith("matmul Q8_0 ") for what in whats), whats)
            self.assertIn("waiting", whats)
        for key in ("paired_fraction_of_peak", "matmul_fraction_of_peak", "fraction_of_peak"):
            self.assertGreater(report["prefill"][0][key], 0)
        one, three = report["decode"][:2]
        self.assertAlmostEqual(three["roof_tok_s"], 3 * one["roof_tok_s"], delta=0.01 * three["roof_tok_s"])  # both read the weights once
        self.assertIn("matmul", strata("bench", MODEL, "--prefill", 32, "--decode-batch", 0, "--repeat", 1, "--profile"))
        experts = json.loads(strata("bench", ROOT / "tests/data/arch/olmoe", "--prefill", 0, "--decode-batch", "1,8", "--context", 0, "--repeat", 1, "--json"))["decode"]
        self.assertAlmostEqual(experts[0]["experts_share"], 3 / 6, places=6)   # one token uses 3 of 6, several more
        self.assertGreater(experts[1]["experts_share"], 0.5)
        self.assertLessEqual(experts[1]["experts_share"], 1)
        machine = json.loads(strata("bench", "machine", "--json", "--threads", 1, "--repeat", 1))
        self.assertEqual(len(machine), 1)
        self.assertGreater(machine[0]["fp32_gops"], 0)

    def test_quantize_and_run(self):
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("F32", "BF16", "Q4_0", "Q4_K_M", "Q6_K"):
                out = os.path.join(folder, kind + ".gguf")
                strata("quantize", MODEL, out, "--type", kind)
                self.assertEqual(len(json.loads(strata("run", out, "-p", "Once", "-n", 4, "--json"))["tokens"]), 4, kind)

    def test_packed_weights_are_kept_and_checked(self):
        with tempfile.TemporaryDirectory() as folder:
            base = ["run", MODEL, "-p", "Once upon a time", "-n", 12, "--seed", 5, "--json", "--packed-cache"]
            want = json.loads(strata(*base, "off"))["tokens"]
            self.assertEqual(os.listdir(folder), [])
            both = [subprocess.Popen([STRATA, *map(str, base), folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
            for process in both:
                self.assertEqual(json.loads(process.communicate(timeout=120)[0])["tokens"], want)
            kept, = pathlib.Path(folder).glob("*.weights")
            whole = kept.read_bytes()
            for damaged in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-5000], b""):
                kept.write_bytes(damaged)
                done = subprocess.run([STRATA, *map(str, base), folder], capture_output=True, text=True, timeout=120)
                self.assertEqual(json.loads(done.stdout)["tokens"], want)
                self.assertIn("packing them anew", done.stderr)
                self.assertEqual(kept.read_bytes(), whole)
            done = subprocess.run([STRATA, *map(str, base), folder], capture_output=True, text=True, timeout=120)
            self.assertEqual((json.loads(done.stdout)["tokens"], done.stderr), (want, ""))

    def test_models_bigger_than_memory(self):
        with tempfile.TemporaryDirectory() as folder:
            base = ["run", MODEL, "-p", "Once upon a time", "-n", 12, "--seed", 5, "--json", "--packed-cache", folder]
            want = json.loads(strata(*base))["tokens"]
            for memory in ("3000000", "4M", "1G"):
                self.assertEqual(json.loads(strata(*base, "--weights-memory", memory))["tokens"], want, memory)
            self.assertIn("at least", strata(*base, "--weights-memory", "1000", status=1))
            kept, = pathlib.Path(folder).glob("*.weights")
            kept.write_bytes(b"\1" + kept.read_bytes()[1:])
            self.assertEqual(json.loads(strata(*base, "--weights-memory", "3000000"))["tokens"], want)

    def test_wrong_use_is_two_and_failure_is_one(self):
        for arguments in (["nothing"], ["run"], ["run", MODEL, "-n", "x"]):
            self.assertRegex(strata(*arguments, status=2), r"^strata: error: .*\n$")
        with tempfile.NamedTemporaryFile("wb", suffix=".gguf") as broken:
            broken.write(b"GGUF" + b"\xff" * 100)
            broken.flush()
            for arguments in (["run", "/no/such/model.gguf", "-p", "x"], ["inspect", broken.name], ["graph", MODEL, "--after", "nothing"],
                              ["logits", MODEL, "--tokens", "1,99999999"], ["run", MODEL, "-p", "x", "--cpu-isa", "z80"],
                              ["quantize", MODEL, broken.name + "x", "--type", "Q99"], ["run", MODEL, "-p", "x", "--kv-bytes", "10"]):
                self.assertRegex(strata(*arguments, status=1), r"^strata: error: .*\n$", arguments)


class Serve(unittest.TestCase):
    def start(self, *arguments):
        server = subprocess.Popen([STRATA, "serve", *arguments, "--port", "0"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.kill)
        line = server.stderr.readline()
        while "listening at http://127.0.0.1:" not in line:
            self.assertTrue(line, "the server ended")
            line = server.stderr.readline()
        port = int(line.rsplit(":", 1)[1])
        for _ in range(200):
            if self.call(port, "GET", "/ready")[0] == 200:
                return server, port
            time.sleep(0.05)
        self.fail("never ready")

    @staticmethod
    def call(port, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, json.dumps(body) if body else None, {"content-type": "application/json"})
        response = connection.getresponse()
        data = response.read().decode()
        connection.close()
        return response.status, data

    def test_weights_that_cannot_be_read_fail_the_request(self):
        with tempfile.TemporaryDirectory() as folder:
            server, port = self.start(MODEL, "--packed-cache", folder, "--weights-memory", "3000000")
            body = {"prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
            status, good = self.call(port, "POST", "/v1/completions", body)
            self.assertEqual(status, 200, good)
            kept, = pathlib.Path(folder).glob("*.weights")
            whole = kept.read_bytes()
            with open(kept, "r+b") as file:
                file.write(bytes(b ^ 1 for b in whole))
            status, failed = self.call(port, "POST", "/v1/completions", body)
            self.assertEqual(status, 500, failed)
            self.assertIn("damaged", json.loads(failed)["error"]["message"])
            with open(kept, "r+b") as file:
                file.write(whole)
            answers = [self.call(port, "POST", "/v1/completions", body) for _ in range(3)]   # one may meet what was read ahead
            self.assertEqual(answers[-1][0], 200)
            self.assertEqual(json.loads(answers[-1][1])["choices"], json.loads(good)["choices"])
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(timeout=60), 0)

    def test_two_models_in_one_process(self):
        with tempfile.TemporaryDirectory() as folder:
            second = os.path.join(folder, "second.gguf")
            strata("quantize", MODEL, second, "--type", "Q4_0")
            server, port = self.start(MODEL, second)
            for _ in range(200):
                listed = {m["id"] for m in json.loads(self.call(port, "GET", "/v1/models")[1])["data"]}
                if len(listed) == 2:
                    break
                time.sleep(0.05)
            self.assertEqual(listed, {"strata-tales", "second"})
            for model in listed:
                status, answer = self.call(port, "POST", "/v1/completions", {"model": model, "prompt": "Once", "max_tokens": 8, "temperature": 0})
                self.assertEqual(status, 200, answer)
                self.assertEqual(json.loads(answer)["usage"]["completion_tokens"], 8)
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(20), 0)

    def test_answers_equal_run(self):
        _, port = self.start(MODEL)
        want = json.loads(strata("run", MODEL, "-p", "Once upon a time", "-n", 12, "--temp", 0, "--json"))["text"]
        status, answer = self.call(port, "POST", "/v1/completions", {"model": "strata-tales", "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0})
        self.assertEqual(status, 200, answer)
        self.assertEqual(json.loads(answer)["choices"][0]["text"], want)
        status, answer = self.call(port, "POST", "/v1/chat/completions",
                                   {"model": "strata-tales", "messages": [{"role": "user", "content": "Tell me a story about a fox."}], "max_tokens": 8})
        self.assertEqual(status, 200, answer)

    def test_a_generating_model_embeds(self):
        _, port = self.start(MODEL)
        body = {"input": ["Once upon a time", "The fox"], "encoding_format": "base64"}
        status, answer = self.call(port, "POST", "/v1/embeddings", body)
        self.assertEqual(status, 200, answer)
        vectors = [entry["embedding"] for entry in json.loads(answer)["data"]]
        completion = http.client.HTTPConnection("127.0.0.1", port, timeout=60)  # the same bits beside a completion
        completion.request("POST", "/v1/completions", json.dumps({"prompt": "Once", "max_tokens": 200, "ignore_eos": True}), {"content-type": "application/json"})
        for text, vector in zip(body["input"], vectors, strict=True):
            answer = json.loads(self.call(port, "POST", "/v1/embeddings", {"input": text, "encoding_format": "base64"})[1])
            self.assertEqual(answer["data"][0]["embedding"], vector)
        self.assertEqual(completion.getresponse().status, 200)
        completion.close()
        plain = json.loads(self.call(port, "POST", "/v1/embeddings", {"input": "The fox"})[1])["data"][0]["embedding"]
        self.assertAlmostEqual(sum(x * x for x in plain), 1, places=5)
        self.assertEqual(json.loads(self.call(port, "GET", "/v1/models")[1])["data"][0]["capabilities"], ["generate", "embed"])
        self.assertEqual(self.call(port, "POST", "/v1/rerank", {"query": "q", "documents": ["d"]})[0], 400)
        metrics = self.call(port, "GET", "/metrics")[1]
        self.assertIn('strata_embedding_texts_total{model_name="strata-tales"} 5', metrics)
        self.assertIn('vllm:generation_tokens_total{model_name="strata-tales"} 200', metrics)

    def test_bench_serve(self):
        _, port = self.start(MODEL)
        url = f"http://127.0.0.1:{port}"
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as trace:
            for at, ids in ((0, [7]), (5, [7, 8]), (10, [7, 9])):
                print(json.dumps({"timestamp": at, "input_length": 600, "output_length": 9, "hash_ids": ids}), file=trace)
            trace.flush()
            for options, requests, tokens in ((["--requests", 6, "--concurrency", 3, "--prompt-words", 12, "--system-words", 20], 6, 8),
                                              (["--requests", 6, "--rate", 200, "--prompt-words", 12, "--priority", -1], 6, 8),
                                              (["--trace", trace.name, "--longest-prompt", 50, "--longest-answer", 4], 3, 4)):
                report = json.loads(strata("bench", "serve", url, "--max-tokens", 8, "--bound", "1000,1000", "--e2e-limit", 60000, "--json", *options))
                self.assertEqual((report["requests"], report["failures"], report["statuses"]), (requests, 0, {"200": requests}))
                self.assertEqual(report["output_tokens"], requests * tokens)
                self.assertEqual(report["goodput"]["requests"], requests)
                self.assertGreater(report["prompt_tokens"], requests * 12)
                self.assertLessEqual(report["ttft_ms"]["p50"], report["e2e_ms"]["p50"])
        self.assertIn("2 of 2 requests failed", strata("bench", "serve", url, "--requests", 2, "--prompt-words", 5000, status=1))
        self.assertIn("PREFILL,DECODE", strata("bench", "serve", url, "--bound", "12", status=1))

    def test_sigterm_lets_streams_finish(self):
        server, port = self.start(MODEL)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/completions", json.dumps({"model": "strata-tales", "prompt": "Once", "max_tokens": 200, "stream": True, "ignore_eos": True}),
                           {"content-type": "application/json"})
        response = connection.getresponse()
        first = response.readline()
        server.send_signal(signal.SIGTERM)
        rest = first + response.read()
        self.assertTrue(rest.rstrip().endswith(b"data: [DONE]"), rest[-200:])
        self.assertEqual(server.wait(20), 0)

    def test_a_second_signal_stops(self):
        server, port = self.start(MODEL, "--threads", "1")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/completions", json.dumps({"model": "strata-tales", "prompt": "Once", "max_tokens": 480, "n": 8, "stream": True, "ignore_eos": True}),
                           {"content-type": "application/json"})
        connection.getresponse().readline()
        server.send_signal(signal.SIGTERM)
        time.sleep(0.15)
        start = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        self.assertLess(time.monotonic() - start, 5)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
