#!/usr/bin/env python3
"""Strata's tokenizers against Hugging Face's on random texts: ids, text with and without special tokens, text token by token.

    python bench/model/text/tokenizer_compare.py build/release/bin/tokenizer_answers ../shared/data [--texts 10000] [--random 200] [NAME...]

Names are pipelines of tests/data/make_tokenizer_golden.py, kinds trained here (word-piece, unigram, ...), or folders with
a tokenizer.json. --random N makes N tokenizers more of random steps and small vocabularies, 300 texts each. The last line
says how many texts of how many tokenizers differ. Needs tokenizers, sentencepiece, gguf (PyPI).
"""
import argparse
import base64
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["RUST_BACKTRACE"] = "0"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
root = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(root / "tests" / "data"))
import make_tokenizer_golden as golden  # noqa: E402
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

SPECIAL = ["<unk>", "[UNK]", "<s>", "</s>", "[CLS]", "[SEP]", "<pad>", "<mask>"]


def strange_text(seed):
    """As golden.random_text, and long runs, controls and words of the added tokens."""
    r = random.Random(seed)
    text = golden.random_text(seed)
    for _ in range(r.randrange(4)):
        kind = r.randrange(7)
        if kind == 0:
            text += r.choice("a 0\n.\u00e9\u4f60\u2581'") * r.randrange(1, 60)
        elif kind == 1:
            text += chr(r.randrange(0x20))
        elif kind == 2:
            text += r.choice([" ", ""]) + r.choice(SPECIAL + ["hello", "ab", "##", "Word"]) + r.choice([" ", "", "  \n"])
        elif kind == 3:
            text += "".join(chr(r.randrange(0x300, 0x370)) for _ in range(r.randrange(1, 4)))
        elif kind == 4:
            text += "".join(r.choice("ab") for _ in range(r.randrange(1, 40)))
        elif kind == 5:
            text += " " * r.randrange(1, 12) + r.choice("\t\u00a0\u3000\u2028\r\n")
        else:
            text += "".join(chr(r.choice(ASSIGNED)) for _ in range(r.randrange(1, 6)))
    return text


def assigned():
    """Characters of Unicode 6.0: the tables of Hugging Face's libraries are of different ages, from there on they agree."""
    import unicodedata
    old = unicodedata.ucd_3_2_0
    return [c for c in range(0x20, 0x30000) if old.category(chr(c)) not in ("Cn", "Cs", "Co") and old.category(chr(c)) == unicodedata.category(chr(c))]


ASSIGNED = assigned()


def without_special(text):
    """A vocabulary that holds a special token twice, once as an ordinary one, is nobody's."""
    for token in SPECIAL:
        text = text.replace(token, "")
    return text


def train(kind, r, corpus, vocabulary=400):
    special = ["<s>", "</s>"]
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token=r.choice([None, "<unk>"]), fuse_unk=r.random() < 0.5, byte_fallback=r.random() < 0.3,
                                         ignore_merges=r.random() < 0.2))
        trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special + ["<unk>"], show_progress=False, limit_alphabet=100)
    elif kind == "bpe-marked":
        prefix, suffix = r.choice([("##", ""), ("", "</w>"), ("##", "</w>")])
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=r.random() < 0.5, continuing_subword_prefix=prefix, end_of_word_suffix=suffix))
        trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special + ["<unk>"], show_progress=False, limit_alphabet=100,
                                      continuing_subword_prefix=prefix, end_of_word_suffix=suffix)
    elif kind == "word-piece":
        prefix = r.choice(["##", "##", "_", ""])
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=r.choice([100, 10, 3])))
        trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=special + ["[UNK]"], show_progress=False, limit_alphabet=100)
    elif kind == "word-level":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, special_tokens=special + ["<unk>"], show_progress=False)
    else:
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=vocabulary, special_tokens=special + ["<unk>"], unk_token="<unk>", show_progress=False)
    return tokenizer, trainer


def random_normalizer(r, charsmap):
    one = lambda: r.choice([
        normalizers.NFC, normalizers.NFD, normalizers.NFKC, normalizers.NFKD, normalizers.Lowercase, normalizers.StripAccents, normalizers.Nmt,
        lambda: normalizers.Strip(left=r.random() < 0.5, right=r.random() < 0.5), lambda: normalizers.Prepend(r.choice(["▁", "x", " "])),
        lambda: normalizers.Replace(" ", "▁"), lambda: normalizers.Replace("a", ""), lambda: normalizers.Replace(__import__("tokenizers").Regex(r"\s{2,}"), " "),
        lambda: normalizers.Replace(__import__("tokenizers").Regex(r"[0-9]+"), "0"),
        lambda: normalizers.BertNormalizer(clean_text=r.random() < 0.5, handle_chinese_chars=r.random() < 0.5, strip_accents=r.choice([None, True, False]),
                                           lowercase=r.random() < 0.5),
        lambda: normalizers.Precompiled(charsmap)])()
    steps = [one() for _ in range(r.choice([0, 1, 1, 2, 3]))]
    return steps


def random_pre_tokenizer(r, byte_level):
    regex = __import__("tokenizers").Regex
    behavior = lambda: r.choice(["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"])
    one = lambda: r.choice([
        pre_tokenizers.Whitespace, pre_tokenizers.WhitespaceSplit, pre_tokenizers.BertPreTokenizer, pre_tokenizers.UnicodeScripts,
        lambda: pre_tokenizers.Digits(individual_digits=r.random() < 0.5), lambda: pre_tokenizers.Punctuation(behavior()),
        lambda: pre_tokenizers.CharDelimiterSplit(r.choice(" -a")), lambda: pre_tokenizers.FixedLength(r.choice([1, 2, 5])),
        lambda: pre_tokenizers.Metaspace(replacement=r.choice("▁_"), prepend_scheme=r.choice(["always", "never", "first"]), split=r.random() < 0.7),
        lambda: pre_tokenizers.Split(r.choice([" ", "a", regex(r"\s+"), regex(r"\p{L}+|\p{N}"), regex(r"[aeiou]"), regex(r"\d{1,3}(?=(\d{3})*\b)")]), behavior(),
                                     invert=r.random() < 0.3)])()
    steps = [one() for _ in range(r.choice([0, 1, 1, 2, 3]))]
    if byte_level:
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=r.random() < 0.5, use_regex=r.random() < 0.5))
    return pre_tokenizers.Sequence(steps)


def random_decoder(r, byte_level):
    if byte_level:
        return decoders.ByteLevel()
    return r.choice([
        lambda: None, lambda: decoders.WordPiece(r.choice(["##", "_"]), r.random() < 0.5), lambda: decoders.Metaspace(prepend_scheme=r.choice(["always", "never", "first"])),
        lambda: decoders.BPEDecoder("</w>"), lambda: decoders.CTC("<pad>", "|", r.random() < 0.5), decoders.Fuse, lambda: decoders.Replace("▁", " "),
        lambda: decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        lambda: decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never"), decoders.Fuse(), decoders.Strip(" ", 2, 1)]),
        lambda: decoders.Sequence([decoders.Replace(__import__("tokenizers").Regex("[ab]"), "c"), decoders.Fuse(), decoders.Replace("cc", "d")]),
        lambda: decoders.Strip("a", 1, 1), decoders.ByteFallback])()


def random_added(r):
    words = ["hello", "ab", " the", "Word", "<mask>", "é", "É", "1", "  ", "\n", "[SEP]", "a"]
    tokens = []
    for word in r.sample(words, r.randrange(0, 5)):
        special = word in ("<mask>", "[SEP]", "Word", "  ") and r.random() < 0.7   # a special token that is not taken for one is not taken for a word either here
        tokens.append(AddedToken(word, single_word=not special and r.random() < 0.5, lstrip=r.random() < 0.3, rstrip=r.random() < 0.3, normalized=not special and r.random() < 0.5, special=special))
    return tokens


def random_tokenizer(seed, charsmap, vocabulary=None):
    r = random.Random(seed)
    kind = r.choice(["bpe", "bpe", "bpe-marked", "word-piece", "word-level", "unigram", "unigram"])
    byte_level = kind == "bpe" and r.random() < 0.4
    corpus = [without_special(strange_text(r.randrange(1 << 40))) for _ in range(60 if kind == "unigram" else 150)] + ["hello world, the quick brown fox it's we're do not don't"] * 3
    tokenizer, trainer = train(kind, r, corpus, (vocabulary or r.choice([200, 400, 1000])) + (600 if kind == "unigram" else 0))
    steps = random_normalizer(r, charsmap)
    tokenizer.pre_tokenizer = random_pre_tokenizer(r, byte_level)
    if "first" in str(tokenizer.pre_tokenizer):
        steps = [step for step in steps if not isinstance(step, (normalizers.Replace, normalizers.Strip, normalizers.Nmt, normalizers.BertNormalizer, normalizers.StripAccents))]
    tokenizer.normalizer = normalizers.Sequence(steps)   # theirs asks whether the first character is where the text began
    tokenizer.decoder = random_decoder(r, byte_level)
    tokenizer.train_from_iterator(corpus, trainer)
    document = json.loads(tokenizer.to_str())
    if kind == "bpe" and document["model"]["byte_fallback"]:   # all bytes or none
        vocabulary = document["model"]["vocab"]
        for byte in range(256):
            vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
        document["added_tokens"] = [t for t in document["added_tokens"]]
    if kind == "unigram" and r.random() < 0.4:
        document["model"]["byte_fallback"] = True
        document["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_tokens(random_added(r))
    begin, end = (tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>"))
    tokenizer.post_processor = r.choice([
        lambda: None, lambda: processors.BertProcessing(("</s>", end), ("<s>", begin)), lambda: processors.RobertaProcessing(("</s>", end), ("<s>", begin)),
        lambda: processors.TemplateProcessing("<s> $A", "<s> $A </s> $B:1", [("<s>", begin), ("</s>", end)]),
        lambda: processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing("$A </s>", "$A $B", [("</s>", end)])])])() or tokenizer.post_processor
    return f"random-{seed}-{kind}", tokenizer.to_str()


def charsmap_of(**rules):
    import sentencepiece
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(golden.WORDS * 4), model_writer=out, vocab_size=200, model_type="unigram", hard_vocab_limit=False,
                                             minloglevel=2, character_coverage=1.0, **rules)
    from transformers.utils import sentencepiece_model_pb2_new as pb
    model = pb.ModelProto.FromString(out.getvalue())
    return model.normalizer_spec.precompiled_charsmap


def known_tokenizers(data, charsmap, names):
    for name, pipeline in golden.PIPELINES.items():
        if not names or name in names:
            yield name, json.dumps(golden.tokenizer_json(data, pipeline))
    grimm = (data / "corpus-grimm" / "grimm.txt").read_text()[:300000].split("\n") + [without_special(strange_text(i)) for i in range(1000)]
    for name in ("word-piece", "unigram", "unigram-bytes", "word-level", "clip"):
        if names and name not in names:
            continue
        r = random.Random(1)
        tokenizer, trainer = train({"unigram-bytes": "unigram", "clip": "bpe-marked"}.get(name, name), r, grimm, 8000)
        if name == "word-piece":
            tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        elif name.startswith("unigram"):
            tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(__import__("tokenizers").Regex(" {2,}"), " ")])
            tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        else:
            tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFC(), pre_tokenizers.Whitespace()
            tokenizer.decoder = decoders.BPEDecoder() if name == "clip" else None or decoders.Fuse()
        tokenizer.train_from_iterator(grimm, trainer)
        document = json.loads(tokenizer.to_str())
        if name == "unigram-bytes":
            document["model"]["byte_fallback"] = True
            document["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
        yield name, json.dumps(document)
    for name in names:
        if pathlib.Path(name).is_dir():
            yield name, (pathlib.Path(name) / "tokenizer.json").read_text()


def compare(program, name, document, texts):
    tokenizer = Tokenizer.from_str(document)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(document)
        file.flush()
        run = subprocess.run([program, file.name], input="".join(json.dumps(text) + "\n" for text in texts), capture_output=True, text=True)
    answers = [json.loads(line) for line in run.stdout.split("\n") if line]
    if len(answers) != len(texts):
        print(f"{name}: failed: {answers[-1:]} {run.stderr[-300:]}", flush=True)
        return len(texts)
    wrong = 0
    for text, answer in zip(texts, answers):
        try:
            ids = tokenizer.encode(text).ids
            tokenizer.decode(ids)
        except BaseException:   # a bug of theirs
            continue
        want = {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False), "plain": tokenizer.decode(ids)}
        differ = [key for key in want if want[key] != answer[key]] + (["steps"] if answer["steps"] != answer["plain"] else [])
        if differ:
            wrong += 1
            if wrong <= 2:
                key = differ[0]
                print(f"{name}: {differ} of {ascii(text)}\n  want {ascii(want.get(key, answer['plain']))}\n  have {ascii(answer[key])}", flush=True)
    return wrong


def store(path, count):
    """tests/data/tokenizer_steps.jsonl: random tokenizers, and what becomes of a few texts."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("41\t61\n42\t62\n65 301\te9\nff21\t61\nfb01\t66 69\n9\t20\n200b\t20\n2474\t28 31 29\n61 30a\te5\n")
        rules.flush()
        charsmap = charsmap_of(normalization_rule_tsv=rules.name)
    lines, seed, kinds = [], 0, {}
    while len(lines) < count:
        seed += 1
        try:
            name, document = random_tokenizer(seed, charsmap, vocabulary=180)
            tokenizer = Tokenizer.from_str(document)
            kind = name.split("-", 2)[2]
            if len(document) > 40000 or kinds.get(kind, 0) >= (count + 4) // 5:
                continue
            texts = [strange_text(1000 * seed + i) for i in range(12)]
            cases = [{"text": text, "ids": tokenizer.encode(text).ids, "plain": tokenizer.decode(tokenizer.encode(text).ids)} for text in texts]
        except BaseException:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        lines.append(json.dumps({"document": json.loads(document), "cases": cases}, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n")
    print(kinds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--texts", type=int, default=10000)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="seed of the first random tokenizer")
    parser.add_argument("--store", type=pathlib.Path, help="write --random tokenizers and a few of their answers to this file")
    options = parser.parse_args()
    if options.store:
        return store(options.store, options.random)
    charsmap = charsmap_of(normalization_rule_name="nmt_nfkc")
    texts = [strange_text(seed) for seed in range(options.texts)]
    wrong = total = count = 0
    for name, document in known_tokenizers(options.data, charsmap, options.names) if options.texts else []:
        n = compare(options.program, name, document, texts)
        print(f"{name}: {n} of {len(texts)} differ", flush=True)
        wrong, total, count = wrong + n, total + len(texts), count + 1
    for seed in range(options.first, options.first + options.random):
        try:
            name, document = random_tokenizer(seed, charsmap)
            Tokenizer.from_str(document)
        except BaseException as error:   # the library cannot train or load some combinations
            print(f"random-{seed}: no tokenizer ({str(error)[:80]})", flush=True)
            continue
        few = texts[:300] or [strange_text(seed) for seed in range(300)]
        n = compare(options.program, name, document, few)
        if n:
            parts = json.loads(document)
            pathlib.Path(tempfile.gettempdir(), f"{name}.json").write_text(document)   # training is not repeatable
            print(f"  {name}: {n} of {len(few)}:", json.dumps({key: parts[key] for key in ("normalizer", "pre_tokenizer", "decoder", "post_processor")})[:1500],
                  json.dumps([t for t in parts["added_tokens"]])[:900], {k: v for k, v in parts["model"].items() if k not in ("vocab", "merges")}, flush=True)
        wrong, total, count = wrong + n, total + len(few), count + 1
    print(f"{wrong} of {total} texts differ, {count} tokenizers")
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
