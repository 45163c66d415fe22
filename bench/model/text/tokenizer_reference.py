#!/usr/bin/env python3
"""Speed of Hugging Face's tokenizers on the texts of tokenizer_bench.cpp, one thread, MB/s of processor time.

    python bench/model/text/tokenizer_reference.py ../shared/data [PIPELINE...]
"""
import json
import os
import pathlib
import random
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
root = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(root / "tests" / "data"))
import make_tokenizer_golden as golden  # noqa: E402
import tokenizers  # noqa: E402


def main():
    data = pathlib.Path(sys.argv[1])
    size = 10_000_000
    letters = random.Random(1)
    texts = {
        "english": (data / "corpus-grimm" / "grimm.txt").read_text(),
        "code": "".join(p.read_text() for p in sorted((root / "src").rglob("*")) if p.suffix in (".cpp", ".h")),
        "han": "".join(chr(0x3002 if i % 17 == 16 else 0x4E00 + (i * i * 31 + i * 7) % 6000) for i in range(500_000)),
        "one letter": "a" * size,
        "spaces": " " * size,
        "emoji": "😀" * (size // 4),
        "random letters": "".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=size)),
    }
    for name in sys.argv[2:] or ["llama-3", "qwen-2", "gpt-2", "gpt-4o", "deepseek-v3", "deepseek-coder", "mistral", "llama-2", "bert", "unigram"]:
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(golden.tokenizer_json(data, golden.PIPELINES[name])))
        for text_name, text in texts.items():
            length = len(text.encode())
            piece = text if length < size else text[: len(text) // 10]   # a tenth of the long ones: they can take minutes
            best = float("inf")
            for _ in range(3):
                start = time.process_time()
                tokenizer.encode(piece)
                best = min(best, time.process_time() - start)
            print(f"{name}/{text_name} {len(piece.encode()) / best * 1e-6:.2f} MB/s", flush=True)


if __name__ == "__main__":
    main()
