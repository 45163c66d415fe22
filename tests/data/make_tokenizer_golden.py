#!/usr/bin/env python3
"""Writes tokenizer_golden.json: what Hugging Face's tokenizers and SentencePiece make of random texts of many scripts.

    python tests/data/make_tokenizer_golden.py ../shared/data tests/data/tokenizer_golden.json

Needs the packages tokenizers, sentencepiece, gguf. The texts are not stored: the test makes them with the same
generator (random_text below). Of every text, 3 bytes of a hash of the ids and 3 bytes of a hash of the text decoded from
them are kept, base64.
"""
import base64
import json
import pathlib
import struct
import sys

import gguf
import sentencepiece
import tokenizers

CASES = 2000

WORDS = [
    " the", " of", " and", "Hello", " world", "ing", " quick", " brown", " Straße", " naïve", " cafe\u0301", "ÅNGSTRÖM",
    "I'm", "you'll", " WE'VE", "'s", "'S", "'\u017f", "’s", " don't", "O'Reilly", "'tis", " 'd", "L'été", "'", "''",
    " ", "  ", "   ", "    ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "  \n\t", "\u00a0", "\u3000", "\u2028", "\u200b", "\x0b", "\x85",
    "1", "12", "123", "1234", "3.14", " 2024", "1,000,000", "٣٤", "१२३", "²", "Ⅻ", "½", "0x1F", "1e-5",
    ".", ",", "!", "?", "...", "?!", "(", ")", "[]", "{}", "::", "->", "=>", "==", " +=", "//", "/*", "*/", "#", "$", "%", "&&", "||",
    "<", ">", "</s>", "<s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<tool_call>", "[INST]", "[/INST]", "<0x0A>",
    "def f(x):\n    return x\n", "for (int i = 0; i < n; ++i) {\n", "\treturn nullptr;\n", "SELECT * FROM t;", "#include <vector>\n",
    "http://example.com/a?b=c", "user@example.org", "C:\\Users\\", "<div class=\"x\">", "camelCase", "snake_case", "HTTPServer", "XMLHttpRequest",
    "Привет", " мир", "Ελλάδα", "שלום", "مرحبا", " بالعالم", "नमस्ते", "दुनिया", "สวัสดี", "你好", "世界", "こんにちは", "カタカナ", "안녕하세요", "각",
    "😀", "👨‍👩‍👧", "🇩🇪", "❤️", "👍🏽", "∑", "√2", "→", "€", "£5", "—", "“q”", "…", "·", "\u0301", "e\u0301", "ﬁ", "Å", "\u212b", "ⅷ", "ǅ", "ª", "_", "__init__", "\x01", "\x7f", "▁", "▁▁", "Ġ", "�",
]
RANGES = [[0x61, 0x7A], [0x41, 0x5A], [0x21, 0x7E], [0xC0, 0x17F], [0x300, 0x36F], [0x391, 0x3C9], [0x410, 0x44F], [0x5D0, 0x5EA],
          [0x621, 0x64A], [0x905, 0x94D], [0x995, 0x9A8], [0xE01, 0xE3A], [0x10A0, 0x10C5], [0x1100, 0x1112], [0x1EA0, 0x1EF9], [0x2000, 0x206F],
          [0x2190, 0x21FF], [0x2460, 0x2473], [0x3041, 0x3096], [0x30A1, 0x30FA], [0x4E00, 0x9FA5], [0xAC00, 0xD7A3], [0xF900, 0xFA0D],
          [0xFF01, 0xFF5E], [0x10400, 0x1044F], [0x1D400, 0x1D454], [0x1F300, 0x1F5FF], [0x1F600, 0x1F64F], [0x20000, 0x20100]]


class Random:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 33) % n


def random_text(seed):
    random = Random(seed)
    text = ""
    for _ in range(1 + random.below(24)):
        if random.below(4) < 3:
            text += WORDS[random.below(len(WORDS))]
        else:
            low, high = RANGES[random.below(len(RANGES))]
            for _ in range(1 + random.below(5)):
                text += chr(low + random.below(high - low + 1))
    return text


def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value & 0xFFFFFF


def special(ids_and_names, is_special=True):
    return [{"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": is_special}
            for i, name in ids_and_names]


def split(expression, behavior="Isolated"):
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": False}


def bytes_only():
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def byte_level(vocabulary, added, pre_tokenizer, normalizer=None, post_processor=None, **model):
    return {"vocabulary": vocabulary, "added_tokens": added, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": post_processor, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", **model}}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


LLAMA3_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O_WORDS = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
               r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
               r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_WORDS = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""")
# Ids without a gap: tokenizers counts on from the vocabulary, whatever the document says.
LLAMA3_SPECIAL = list(enumerate(["<|begin_of_text|>", "<|end_of_text|>", *(f"<|reserved_special_token_{i}|>" for i in range(4)), "<|start_header_id|>", "<|end_header_id|>",
                                 "<|reserved_special_token_4|>", "<|eot_id|>"], 128000))
QWEN_SPECIAL = list(enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>",
                               "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"], 151643))
QWEN_TOOLS = [(151657, "<tool_call>"), (151658, "</tool_call>")]
LLAMA3_BEGIN = {"type": "Sequence", "processors": [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
    {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
     "special_tokens": {"<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [128000], "tokens": ["<|begin_of_text|>"]}}}]}
STRIPPED = special([(50256, "<|endoftext|>")])
STRIPPED[0].update(lstrip=True, rstrip=True)
WHOLE_WORD = special([(262, "the"), (257, "a")], False)   # words that only count where they stand alone
for token in WHOLE_WORD:
    token["single_word"] = True
METASPACE_TEXT = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                   {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}

BERT_FRAME = {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}

PIPELINES = {
    "bert": {"vocabulary": "word-pieces", "added_tokens": special([(0, "[PAD]"), (100, "[UNK]"), (101, "[CLS]"), (102, "[SEP]"), (103, "[MASK]")]),
             "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
             "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": BERT_FRAME, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}},
    "unigram": {"vocabulary": "scored-pieces", "added_tokens": special([(0, "<unk>"), (1, "<s>"), (2, "</s>")]), "normalizer": {"type": "NFKC"},
                "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "post_processor": None,
                "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
                "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": True}},
    "llama-3": byte_level("llama3", special(LLAMA3_SPECIAL), sequence(split(LLAMA3_WORDS), bytes_only()), None, LLAMA3_BEGIN, ignore_merges=True),
    "qwen-2": byte_level("qwen", special(QWEN_SPECIAL) + special(QWEN_TOOLS, False), sequence(split(QWEN_WORDS), bytes_only()), {"type": "NFC"}),
    "qwen-3.5": byte_level("qwen", special(QWEN_SPECIAL), sequence(split(QWEN35_WORDS), bytes_only()), {"type": "NFC"}),
    "gpt-2": byte_level("gpt-2", special([(50256, "<|endoftext|>")]), GPT2),
    "gpt-2-prefix": byte_level("gpt-2", STRIPPED + WHOLE_WORD, {**GPT2, "add_prefix_space": True}, {"type": "NFKC"}),
    "gpt-4o": byte_level("llama3", special(LLAMA3_SPECIAL), sequence(split(GPT4O_WORDS), bytes_only())),
    "deepseek-coder": byte_level("deepseek-coder", special([(32013, "<｜begin▁of▁sentence｜>"), (32014, "<｜end▁of▁sentence｜>")]),
                                 sequence(split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-\ud7ff]+"),
                                          {"type": "Digits", "individual_digits": True}, bytes_only())),
    "deepseek-v3": byte_level("llama3", special(LLAMA3_SPECIAL), sequence(split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK_WORDS), bytes_only())),
    "falcon": byte_level("gpt-2", special([(50256, "<|endoftext|>")]),
                         sequence({"type": "Punctuation", "behavior": "Contiguous"}, GPT2, {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]"))),
    "starcoder": byte_level("gpt-2", special([(50256, "<|endoftext|>")]), sequence({"type": "Digits", "individual_digits": True}, GPT2)),
    "whitespace": byte_level("gpt-2", [], sequence({"type": "Whitespace"}, bytes_only())),
    "mistral": {"vocabulary": "mistral"},
    "llama-2": {"vocabulary": "mistral", "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": None, "decoder": METASPACE_TEXT},
    "gemma": {"vocabulary": "mistral", "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
              "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
              "decoder": {"type": "Sequence", "decoders": METASPACE_TEXT["decoders"][:3]}},
    "t5-words": {"vocabulary": "mistral", "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}]},
                 "pre_tokenizer": sequence({"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}),
                 "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}},
}


def spell_table():
    own = list(range(33, 127)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    table, extra = {}, 0
    for byte in range(256):
        if byte in own:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


def merge_of(token, ranks):
    """The two parts a tiktoken token was merged from: its bytes merged as far as lower ranks go."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 40))
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return parts


def vocabulary(data, name):
    folder = data / "tokenizers"
    if name == "llama3":
        return (json.loads((folder / "llama3/encoder.json").read_text()),
                [line.split(" ") for line in (folder / "llama3/vocab.bpe").read_text().split("\n") if line])
    if name == "qwen":
        table = spell_table()
        ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in (folder / "qwen/qwen.tiktoken").read_text().splitlines() if line}
        spell = lambda token: "".join(table[b] for b in token)
        merges = [[spell(part) for part in merge_of(token, ranks)] for token in ranks if len(token) > 1]
        return {spell(token): rank for token, rank in ranks.items()}, merges
    reader = gguf.GGUFReader(folder / f"ggml-vocab-{name}.gguf")
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    return {token: i for i, token in enumerate(tokens)}, [line.split(" ") for line in reader.fields["tokenizer.ggml.merges"].contents()]


def word_pieces(data):
    """BERT's spelling of the vocabulary that llama.cpp's file spells otherwise."""
    tokens = gguf.GGUFReader(data / "tokenizers/ggml-vocab-bert-bge.gguf").fields["tokenizer.ggml.tokens"].contents()
    spell = lambda token: token if token.startswith("[") and token.endswith("]") else token[1:] if token.startswith("▁") else "##" + token
    return {spell(token): i for i, token in enumerate(tokens)}


def scored_pieces(data):
    """Llama 2's vocabulary as a unigram model: the earlier a piece the likelier."""
    tokens = gguf.GGUFReader(data / "tokenizers/ggml-vocab-llama-spm.gguf").fields["tokenizer.ggml.tokens"].contents()
    return [[token, -(i + 1) ** 0.25] for i, token in enumerate(tokens)]


def tokenizer_json(data, pipeline):
    if pipeline["vocabulary"] in ("word-pieces", "scored-pieces"):
        vocab = word_pieces(data) if pipeline["vocabulary"] == "word-pieces" else scored_pieces(data)
        return {"version": "1.0", "truncation": None, "padding": None, **{k: v for k, v in pipeline.items() if k != "vocabulary"}, "model": {**pipeline["model"], "vocab": vocab}}
    if pipeline["vocabulary"] == "mistral":
        document = json.loads((data / "tokenizers/vllmcpp/tokenizer_mistral/tokenizer.json").read_text())
        document.update({key: value for key, value in pipeline.items() if key != "vocabulary"})
        return document
    vocab, merges = vocabulary(data, pipeline["vocabulary"])
    document = {"version": "1.0", "truncation": None, "padding": None, **pipeline}
    del document["vocabulary"]
    document["model"] = {"dropout": None, "unk_token": None, **pipeline["model"], "vocab": vocab, "merges": merges}
    return document


def main():
    data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    texts = [random_text(seed) for seed in range(CASES)]
    golden = {}

    def keep(name, encode, decode):
        packed = b""
        for text in texts:
            ids = encode(text)
            packed += fnv1a(struct.pack(f"<{len(ids)}i", *ids)).to_bytes(3, "little")
            packed += fnv1a(decode(ids).encode()).to_bytes(3, "little")
        golden[name] = base64.b64encode(packed).decode()

    for name, pipeline in PIPELINES.items():
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(data, pipeline)))
        keep(name, lambda text: tokenizer.encode(text).ids, lambda ids: tokenizer.decode(ids))
        print(name, file=sys.stderr)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(data / "tokenizers/llama2-spm/tokenizer.model"))
    keep("sentencepiece", lambda text: pieces.encode(text), lambda ids: pieces.decode(ids))
    out.write_text(json.dumps({"cases": CASES, "words": WORDS, "ranges": RANGES, "pipelines": PIPELINES, "golden": golden}, ensure_ascii=False,
                              separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
