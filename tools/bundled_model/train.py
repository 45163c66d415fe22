#!/usr/bin/env python3
"""Train, export and check strata-tales, the small story model bundled with Strata.

    train.py                  train (resuming from --work if it holds a checkpoint), then export
    train.py --export         export the last checkpoint of --work again
    train.py --check          measure an exported file: word rate, repetition, round trip
    train.py --golden FILE    write golden values for the C++ tests from an exported file

The exported GGUF follows llama.cpp's conventions for architecture "llama": Q8_0 matrices, F32
norms, tied embeddings, and the rows of Q and K permuted for interleaved-pair RoPE.
"""

import argparse
import contextlib
import heapq
import json
import math
import re
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent

SEED = 1812
VOCAB = 4096
DIM = 256
FFN = 768
LAYERS = 6
HEADS = 8
KV_HEADS = 4
HEAD_DIM = DIM // HEADS
CONTEXT = 512
ROPE_BASE = 10000.0
RMS_EPS = 1e-5

UNK, BOS, EOS = 0, 1, 2
SPECIALS = ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]  # ids 3 to 6
END = 6

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] | trim + '<|end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)

# How often a training row comes from each source.
MIX = {"chat": 0.16, "grimm": 0.42, "tolstoy": 0.29, "shakespeare": 0.13}


# ---------------------------------------------------------------------------------------------
# Corpora. A document is a list of paragraphs.


def unmangle(text):
    """Undo UTF-8 that was once read as Latin-1 ("KÃ¶nig")."""

    def fix(match):
        try:
            return match.group(0).encode("latin-1").decode("utf-8")
        except UnicodeError:
            return match.group(0)

    return re.sub(r"[\x80-\xff]+", fix, text)


def tidy(text):
    text = unmangle(text)
    text = text.replace("''", '"').replace("\u2013", "-").replace("\u2014", "--").replace("\u201a", "'")
    text = re.sub(r"[\[\]^@=]", "", text)
    text = re.sub(r"\s*\*+", "", text)
    return re.sub(r"\s+", " ", text).strip()


def load_grimm(data):
    raw = (data / "corpus-grimm/grimm.txt").read_text(encoding="utf-8")
    docs = []
    for tale in raw.split("<|endofstory|>"):
        if "info@" in tale:  # a placeholder page, not a tale
            continue
        paragraphs = [tidy(line) for line in tale.split("\n")]
        paragraphs = [p for p in paragraphs if p]
        if paragraphs:
            docs.append(paragraphs)
    return docs


def load_tolstoy(data):
    raw = (data / "corpus-war-and-peace/tokenizer/testdata/war-and-peace.txt").read_text(encoding="utf-8")
    docs = []
    for chapter in re.split(r"(?m)^CHAPTER [IVXL]+\s*$", raw):
        paragraphs = []
        for block in re.split(r"\n\s*\n", chapter):
            block = block.strip()
            # Footnotes, book headings and the like carry no story.
            if not block or block.startswith("*") or re.match(r"^(BOOK|FIRST|SECOND) [A-Z]+", block):
                continue
            paragraphs.append(tidy(block))
        if paragraphs:
            docs.append(paragraphs)
    return docs


def load_shakespeare(data, speeches=40):
    """Verse keeps its line ends; a document is a run of speeches."""
    raw = (data / "corpus-tinyshakespeare/data/tinyshakespeare/input.txt").read_text(encoding="utf-8")
    blocks = [b.strip() for b in re.split(r"\n\s*\n", raw) if b.strip()]
    return [blocks[i : i + speeches] for i in range(0, len(blocks), speeches)]


def load_corpora(data):
    return {
        "grimm": load_grimm(data),
        "tolstoy": load_tolstoy(data),
        "shakespeare": load_shakespeare(data),
    }


def split_held_out(corpora, every=20):
    """Every 20th document is held out: 5 % by whole tales, chapters and scenes."""
    train, held = {}, {}
    for name, docs in corpora.items():
        train[name] = [d for i, d in enumerate(docs) if i % every != every // 2]
        held[name] = [d for i, d in enumerate(docs) if i % every == every // 2]
    return train, held


NOUNS = """king queen prince princess wolf fox hare hedgehog cat dog bear lion horse donkey ass goat pig
cow calf bird sparrow raven swan duck goose cock hen mouse rat frog toad snake fish bee tailor miller
shoemaker smith soldier huntsman fisherman peasant farmer shepherd servant maiden girl boy youth child
giant dwarf witch devil robber thief father mother stepmother brother sister daughter son husband wife
widow forest castle tree apple ring sword well kitchen tower palace mountain spindle table sack fiddle
drum cloak crown mill garden glass cellar stable feather egg nut bean straw coal needle judge doctor
priest innkeeper cook beggar sailor student gnome angel unicorn dragon lark owl stag doe spider louse
flea bride bridegroom woodcutter gardener merchant goldsmith wagoner""".split()
NOUN_SET = set(NOUNS)
REQUESTS = [
    "Tell me a story about {}.",
    "Tell me a story about {}.",
    "Tell me a story about {}.",
    "Tell me a tale of {}.",
    "Tell a story about {}.",
    "Please tell me a fairy tale about {}.",
    "I would like to hear a story about {}.",
    "Can you tell me a story about {}?",
]
GO_ON = ["Go on.", "What happened next?", "Please go on.", "And then?", "Continue the story."]
SYSTEM = ["You are a storyteller.", "You tell fairy tales.", "You are a kind teller of old tales."]


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def chat_messages(docs, rng):
    """One conversation around a passage of a tale; the topic is a noun of that passage."""
    while True:
        doc = docs[rng.integers(len(docs))]
        start = 0 if rng.random() < 0.5 else int(rng.integers(len(doc)))
        passages, i = [], start
        for _ in range(1 if rng.random() < 0.75 else 2):
            want, taken, size = int(rng.integers(200, 900)), [], 0
            while i < len(doc) and (not taken or size + len(doc[i]) < want):
                taken.append(doc[i])
                size += len(doc[i])
                i += 1
            text = "\n\n".join(taken)
            if len(text) > 1100:  # shorten to whole sentences
                cut = max(text.rfind(mark, 0, 1000) for mark in ('. ', '? ', '! ', '." ', '?" ', '!" '))
                if cut < 200:
                    break
                text = text[: cut + 2].strip()
                i = len(doc)
            if text:
                passages.append(text)
        if not passages:
            continue
        words = re.findall(r"[a-z]+", passages[0][:400].lower())
        topics = [w for w, _ in Counter(w for w in words if w in NOUN_SET).most_common(3)]
        if not topics:
            continue
        topic = article(topics[0])
        if len(topics) > 1 and rng.random() < 0.35:
            topic += " and " + article(topics[1])
        messages = []
        if rng.random() < 0.1:
            messages.append({"role": "system", "content": str(rng.choice(SYSTEM))})
        messages.append({"role": "user", "content": str(rng.choice(REQUESTS)).format(topic)})
        messages.append({"role": "assistant", "content": passages[0]})
        for extra in passages[1:]:
            messages.append({"role": "user", "content": str(rng.choice(GO_ON))})
            messages.append({"role": "assistant", "content": extra})
        return messages


def render_chat(messages, add_generation_prompt, bos="<s>"):
    import jinja2

    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    return env.from_string(CHAT_TEMPLATE).render(
        messages=messages, add_generation_prompt=add_generation_prompt, bos_token=bos, eos_token="</s>"
    )


# ---------------------------------------------------------------------------------------------
# Tokenizer


def train_tokenizer(corpora, work):
    import sentencepiece as spm

    def sentences():
        for docs in corpora.values():
            for doc in docs:
                for paragraph in doc:
                    yield from paragraph.split("\n")

    # Tales count twice, so that their words earn whole pieces.
    def weighted():
        yield from sentences()
        for doc in corpora["grimm"]:
            yield from doc

    spm.SentencePieceTrainer.train(
        sentence_iterator=weighted(),
        model_prefix=str(work / "tokenizer"),
        model_type="bpe",
        vocab_size=VOCAB,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        split_digits=True,
        character_coverage=0.99995,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        pad_id=-1,
        control_symbols=SPECIALS,
        max_sentence_length=100000,
        num_threads=2,
        minloglevel=1,
    )


SPECIAL_RE = re.compile("(" + "|".join(re.escape(s) for s in ["<s>", "</s>"] + SPECIALS) + ")")
SPECIAL_ID = {"<s>": BOS, "</s>": EOS, **{s: 3 + i for i, s in enumerate(SPECIALS)}}


def encode_special(encode_text, text):
    """Text with special tokens to ids; each stretch of plain text gets its own space prefix."""
    ids = []
    for part in SPECIAL_RE.split(text):
        if part in SPECIAL_ID:
            ids.append(SPECIAL_ID[part])
        elif part:
            ids.extend(encode_text(part))
    return ids


class SpmTokenizer:
    """SentencePiece BPE as a GGUF reader does it: only pieces and scores, no library."""

    def __init__(self, tokens, scores, types):
        self.tokens = tokens
        self.ids = {t: i for i, t in enumerate(tokens)}
        self.scores = scores
        self.types = types

    def encode(self, text):
        parts = list((" " + text).replace(" ", "\u2581"))
        nxt = list(range(1, len(parts))) + [-1]
        prv = list(range(-1, len(parts) - 1))
        heap = []

        def offer(left):
            right = nxt[left]
            if right < 0:
                return
            merged = parts[left] + parts[right]
            index = self.ids.get(merged)
            if index is not None and self.types[index] == 1:
                heapq.heappush(heap, (-self.scores[index], left, merged))

        for i in range(len(parts)):
            offer(i)
        while heap:
            _, left, merged = heapq.heappop(heap)
            if not parts[left] or nxt[left] < 0 or parts[left] + parts[nxt[left]] != merged:
                continue
            right = nxt[left]
            parts[left], parts[right] = merged, ""
            nxt[left] = nxt[right]
            if nxt[right] >= 0:
                prv[nxt[right]] = left
            offer(left)
            if prv[left] >= 0:
                offer(prv[left])
        ids, i = [], 0
        while i >= 0:
            index = self.ids.get(parts[i])
            if index is not None and self.types[index] == 1:
                ids.append(index)
            else:
                ids.extend(self.ids[f"<0x{b:02X}>"] for b in parts[i].encode("utf-8"))
            i = nxt[i]
        return ids

    def encode_with_special(self, text):
        return encode_special(self.encode, text)

    def decode(self, ids):
        out = bytearray()
        for i in ids:
            if self.types[i] == 6:
                out.append(int(self.tokens[i][3:5], 16))
            elif self.types[i] == 1:
                out += self.tokens[i].replace("\u2581", " ").encode("utf-8")
        text = out.decode("utf-8", errors="replace")
        return text[1:] if text.startswith(" ") else text


# ---------------------------------------------------------------------------------------------
# Rows of tokens


def segments(paragraph, size=400):
    """A long paragraph (tales have some of a thousand words) in pieces that begin at a sentence, so
    that rows can begin inside it and none of it goes unseen."""
    parts = [""]
    for sentence in re.split(r"(?<=[.!?;]) |(?<=[.!?][\"']) ", paragraph):
        if parts[-1] and len(parts[-1]) + len(sentence) > size:
            parts.append(sentence)
        else:
            parts[-1] = f"{parts[-1]} {sentence}" if parts[-1] else sentence
    return parts


def tokenize_docs(sp, docs):
    """Documents as segments, each in two forms of its ids: as the start of a text, and going on from
    the segment before (after a space within a paragraph, after two newlines between paragraphs)."""
    out = []
    for doc in docs:
        pieces = []
        for paragraph in doc:
            for i, segment in enumerate(segments(paragraph)):
                start = sp.encode(segment)
                pieces.append((start, start if i else sp.encode("\n\n" + segment)[1:]))
        out.append(pieces)
    return out


def passage(doc, first, room):
    """<s> and the segments of doc from `first` on, at most `room` ids; and whether the document
    ended within it, and the segment to go on with (the one that was cut, from its start)."""
    ids = [BOS] + doc[first][0]
    i = first + 1
    while i < len(doc) and len(ids) < room:
        ids += doc[i][1]
        i += 1
    if len(ids) < room:
        return ids + [EOS], True, i
    return ids[:room], False, max(first + 1, i - 1)


def text_rows(docs, length, rng):
    """Rows of `length` ids, forever, in a new order each epoch. Every row starts with <s> at the
    start of a segment; the next row goes on at the start of the segment that was cut."""
    while True:
        row = []
        for d in rng.permutation(len(docs)):
            doc, at = docs[d], 0
            while at < len(doc):
                ids, ended, at = passage(doc, at, length - len(row))
                row += ids
                if length - len(row) < 24:
                    yield row + [EOS] * (length - len(row))
                    row = []
                if ended:
                    break


def chat_rows(sp, docs, length, rng):
    row = []
    while True:
        ids = encode_special(sp.encode, render_chat(chat_messages(docs, rng), False))[:-2]  # no last "\n"
        ids += [EOS]
        row += ids
        if len(row) >= length:
            yield row[:length]
            row = []


def batches(sp, train, tokens, length, size, rng):
    rows = {n: text_rows(tokens[n], length + 1, rng) for n in tokens}
    rows["chat"] = chat_rows(sp, train["grimm"], length + 1, rng)
    names = list(MIX)
    while True:
        picks = rng.choice(len(names), size=size, p=list(MIX.values()))
        block = torch.tensor([next(rows[names[p]]) for p in picks])
        x, y = block[:, :-1], block[:, 1:].clone()
        y[y == BOS] = -100  # no one should learn what follows the end
        y[(x == EOS) & (y == EOS)] = -100
        yield x, y


# ---------------------------------------------------------------------------------------------
# Model, in the Hugging Face layout (RoPE over the two halves of a head)


def rope_tables(length):
    inv = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), inv)
    return angle.cos(), angle.sin()


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn_norm = nn.Parameter(torch.ones(DIM))
        self.ffn_norm = nn.Parameter(torch.ones(DIM))
        self.q = nn.Linear(DIM, HEADS * HEAD_DIM, bias=False)
        self.k = nn.Linear(DIM, KV_HEADS * HEAD_DIM, bias=False)
        self.v = nn.Linear(DIM, KV_HEADS * HEAD_DIM, bias=False)
        self.o = nn.Linear(HEADS * HEAD_DIM, DIM, bias=False)
        self.gate = nn.Linear(DIM, FFN, bias=False)
        self.up = nn.Linear(DIM, FFN, bias=False)
        self.down = nn.Linear(FFN, DIM, bias=False)

    def forward(self, x, cos, sin, dropout):
        b, t, _ = x.shape
        h = F.rms_norm(x, (DIM,), self.attn_norm, RMS_EPS)
        q = rotate(self.q(h).view(b, t, HEADS, HEAD_DIM), cos, sin).transpose(1, 2)
        k = rotate(self.k(h).view(b, t, KV_HEADS, HEAD_DIM), cos, sin).transpose(1, 2)
        v = self.v(h).view(b, t, KV_HEADS, HEAD_DIM).transpose(1, 2)
        k = k.repeat_interleave(HEADS // KV_HEADS, dim=1)
        v = v.repeat_interleave(HEADS // KV_HEADS, dim=1)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        a = a.transpose(1, 2).reshape(b, t, HEADS * HEAD_DIM)
        x = x + F.dropout(self.o(a), dropout, self.training)
        h = F.rms_norm(x, (DIM,), self.ffn_norm, RMS_EPS)
        return x + F.dropout(self.down(F.silu(self.gate(h)) * self.up(h)), dropout, self.training)


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos[:, None].to(x.dtype), sin[:, None].to(x.dtype)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Tales(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.dropout = dropout
        self.embed = nn.Embedding(VOCAB, DIM)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.Parameter(torch.ones(DIM))
        for name, p in self.named_parameters():
            if p.dim() == 2:
                scale = 0.02 if "embed" in name else DIM**-0.5
                if name.endswith(("o.weight", "down.weight")):
                    scale = 0.5 * p.shape[1] ** -0.5 * LAYERS**-0.5
                nn.init.normal_(p, std=scale)

    def forward(self, ids, targets=None):
        cos, sin = rope_tables(ids.shape[1])
        x = F.dropout(self.embed(ids), self.dropout, self.training)
        for block in self.blocks:
            x = block(x, cos, sin, self.dropout)
        logits = F.linear(F.rms_norm(x, (DIM,), self.norm, RMS_EPS), self.embed.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)


def autocast(enabled):
    return torch.autocast("cpu", dtype=torch.bfloat16) if enabled else contextlib.nullcontext()


@torch.no_grad()
def held_out_perplexity(model, sp, held, length=CONTEXT, limit=None, bf16=True):
    """Perplexity per token of the held-out documents, each cut into rows of `length`."""
    was, result = model.training, {}
    model.eval()
    total = [0.0, 0]
    for name, docs in held.items():
        rng = np.random.default_rng(0)
        tokens = tokenize_docs(sp, docs)
        need = sum(len(p[1]) for d in tokens for p in d) // length
        source = text_rows(tokens, length + 1, rng)
        rows = [next(source) for _ in range(max(1, min(need, limit or need)))]
        loss, count = 0.0, 0
        for i in range(0, len(rows), 8):
            block = torch.tensor(rows[i : i + 8])
            x, y = block[:, :-1], block[:, 1:].clone()
            y[y == BOS] = -100
            y[(x == EOS) & (y == EOS)] = -100  # padding
            with autocast(bf16):
                n = int((y != -100).sum())
                loss += float(model(x, y)) * n
            count += n
        result[name] = math.exp(loss / count)
        total[0] += loss
        total[1] += count
    result["all"] = math.exp(total[0] / total[1])
    model.train(was)
    return result


def train(args):
    import sentencepiece as spm

    args.work.mkdir(parents=True, exist_ok=True)
    corpora = load_corpora(args.data)
    training, held = split_held_out(corpora)
    if not (args.work / "tokenizer.model").exists():
        train_tokenizer(training, args.work)
    sp = spm.SentencePieceProcessor(model_file=str(args.work / "tokenizer.model"))
    assert sp.get_piece_size() == VOCAB
    assert [sp.id_to_piece(i) for i in range(7)] == ["<unk>", "<s>", "</s>", *SPECIALS]
    tokens = {name: tokenize_docs(sp, docs) for name, docs in training.items()}
    sizes = {n: sum(len(p[1]) for d in docs for p in d) for n, docs in tokens.items()}
    print("training tokens", sizes, "held-out documents", {n: len(d) for n, d in held.items()}, flush=True)

    torch.manual_seed(SEED)
    model = Tales(args.dropout)
    print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    decay = [p for p in model.parameters() if p.dim() == 2]
    plain = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
        lr=args.lr, betas=(0.9, 0.95), fused=True,
    )
    step, path = 0, args.work / "checkpoint.pt"
    if path.exists():
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        step = state["step"]
        print("resuming at step", step, flush=True)
    forward = torch.compile(model) if args.compile else model

    # The last part of the training sees the full context.
    long_from = int(args.steps * 0.8)

    def phase(first, last, length, seed):
        source = batches(sp, training, tokens, length, args.batch_tokens // length, np.random.default_rng(seed))
        for at in range(first, last):
            batch = next(source)
            if at >= step:
                yield at, batch

    def schedule():
        yield from phase(0, long_from, CONTEXT // 2, SEED)
        yield from phase(long_from, args.steps, CONTEXT, SEED + 1)

    def save(at):
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                    "rng": torch.get_rng_state(), "step": at}, path)

    model.train()
    begin, first, mean = time.time(), step, None
    for at, (x, y) in schedule():
        warm = min(1.0, (at + 1) / 60)
        lr = args.lr * warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * at / args.steps)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        with autocast(args.bf16):
            loss = forward(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if (at + 1) % 10 == 0:
            each = (time.time() - begin) / (at + 1 - first)
            print(f"step {at + 1}/{args.steps} loss {mean:.3f} lr {lr:.5f} {each:.2f} s/step "
                  f"left {each * (args.steps - at - 1) / 60:.1f} min", flush=True)
        if (at + 1) % 200 == 0:
            save(at + 1)
            quick = held_out_perplexity(model, sp, held, limit=24, bf16=args.bf16)
            print("  held-out perplexity", {k: round(v, 2) for k, v in quick.items()}, flush=True)
    save(args.steps)
    full = held_out_perplexity(model, sp, held, bf16=False)
    print("held-out perplexity", {k: round(v, 2) for k, v in full.items()}, flush=True)


# ---------------------------------------------------------------------------------------------
# GGUF


def permute(weight, heads):
    """Rows of a head from the half-split order to interleaved pairs."""
    rows, cols = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, cols).swapaxes(1, 2).reshape(rows, cols)


def export(args):
    import gguf
    import sentencepiece as spm

    sp = spm.SentencePieceProcessor(model_file=str(args.work / "tokenizer.model"))
    state = torch.load(args.work / "checkpoint.pt")["model"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    w = gguf.GGUFWriter(str(args.out), "llama")
    w.add_name("Strata Tales")
    w.add_description("A small story model trained on Grimm, Tolstoy and Shakespeare (public domain).")
    w.add_license("CC0-1.0")
    w.add_languages(["en"])
    w.add_vocab_size(VOCAB)
    w.add_context_length(CONTEXT)
    w.add_embedding_length(DIM)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_rope_dimension_count(HEAD_DIM)
    w.add_rope_freq_base(ROPE_BASE)
    w.add_layer_norm_rms_eps(RMS_EPS)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)

    types = []
    for i in range(VOCAB):
        if sp.is_unknown(i):
            types.append(gguf.TokenType.UNKNOWN)
        elif sp.is_control(i):
            types.append(gguf.TokenType.CONTROL)
        elif sp.is_byte(i):
            types.append(gguf.TokenType.BYTE)
        else:
            types.append(gguf.TokenType.NORMAL)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list([sp.id_to_piece(i).encode("utf-8") for i in range(VOCAB)])
    w.add_token_scores([sp.get_score(i) for i in range(VOCAB)])
    w.add_token_types([int(t) for t in types])
    w.add_bos_token_id(BOS)
    w.add_eos_token_id(EOS)
    w.add_unk_token_id(UNK)
    w.add_eot_token_id(END)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(True)
    w.add_chat_template(CHAT_TEMPLATE)

    def tensor(name, value, quantize):
        value = np.ascontiguousarray(value.float().numpy() if isinstance(value, torch.Tensor) else value)
        if quantize:
            kind = gguf.GGMLQuantizationType.Q8_0
            w.add_tensor(name, gguf.quants.quantize(value, kind), raw_dtype=kind)
        else:
            w.add_tensor(name, value)

    tensor("token_embd.weight", state["embed.weight"], True)
    for i in range(LAYERS):
        s, b = f"blocks.{i}.", f"blk.{i}."
        tensor(b + "attn_norm.weight", state[s + "attn_norm"], False)
        tensor(b + "attn_q.weight", permute(state[s + "q.weight"].numpy(), HEADS), True)
        tensor(b + "attn_k.weight", permute(state[s + "k.weight"].numpy(), KV_HEADS), True)
        tensor(b + "attn_v.weight", state[s + "v.weight"], True)
        tensor(b + "attn_output.weight", state[s + "o.weight"], True)
        tensor(b + "ffn_norm.weight", state[s + "ffn_norm"], False)
        tensor(b + "ffn_gate.weight", state[s + "gate.weight"], True)
        tensor(b + "ffn_up.weight", state[s + "up.weight"], True)
        tensor(b + "ffn_down.weight", state[s + "down.weight"], True)
    tensor("output_norm.weight", state["norm"], False)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(args.out, args.out.stat().st_size, "bytes")
    verify_against_checkpoint(args, sp, state)


class GgufModel:
    """An independent forward pass in float32 over the dequantized file, RoPE on interleaved pairs."""

    def __init__(self, path):
        import gguf

        reader = gguf.GGUFReader(str(path))
        field = lambda key: reader.get_field(key).contents()
        self.tensors = {}
        for t in reader.tensors:
            self.tensors[t.name] = torch.tensor(gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32))
        self.layers = field("llama.block_count")
        self.heads = field("llama.attention.head_count")
        self.kv_heads = field("llama.attention.head_count_kv")
        self.eps = field("llama.attention.layer_norm_rms_epsilon")
        self.base = field("llama.rope.freq_base")
        self.head_dim = field("llama.rope.dimension_count")
        self.template = field("tokenizer.chat_template")
        self.tokenizer = SpmTokenizer(
            field("tokenizer.ggml.tokens"), field("tokenizer.ggml.scores"), field("tokenizer.ggml.token_type")
        )
        self.parameters = sum(t.numel() for t in self.tensors.values())

    def rope(self, x, positions):
        inv = self.base ** (-torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim)
        angle = torch.outer(positions.float(), inv)[:, None]
        even, odd = x[..., 0::2], x[..., 1::2]
        out = torch.stack((even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos()), dim=-1)
        return out.flatten(-2)

    @torch.no_grad()
    def forward(self, ids, cache):
        """Logits of every position of `ids`, which follow what `cache` (a list, empty at first) holds."""
        w = self.tensors
        norm = lambda x, name: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * w[name]
        past = cache[0][0].shape[0] if cache else 0
        n, group = len(ids), self.heads // self.kv_heads
        positions = torch.arange(past, past + n)
        x = w["token_embd.weight"][torch.tensor(ids)]
        mask = positions[:, None] >= torch.arange(past + n)[None, :]
        for i in range(self.layers):
            b = f"blk.{i}."
            h = norm(x, b + "attn_norm.weight")
            q = self.rope((h @ w[b + "attn_q.weight"].T).view(n, self.heads, -1), positions)
            k = self.rope((h @ w[b + "attn_k.weight"].T).view(n, self.kv_heads, -1), positions)
            v = (h @ w[b + "attn_v.weight"].T).view(n, self.kv_heads, -1)
            if len(cache) > i:
                k, v = torch.cat((cache[i][0], k)), torch.cat((cache[i][1], v))
                cache[i] = (k, v)
            else:
                cache.append((k, v))
            scores = torch.einsum("qhd,khd->hqk", q, k.repeat_interleave(group, 1)) / self.head_dim**0.5
            weight = scores.masked_fill(~mask, float("-inf")).softmax(-1)
            a = torch.einsum("hqk,khd->qhd", weight, v.repeat_interleave(group, 1)).reshape(n, -1)
            x = x + a @ w[b + "attn_output.weight"].T
            h = norm(x, b + "ffn_norm.weight")
            gate, up = h @ w[b + "ffn_gate.weight"].T, h @ w[b + "ffn_up.weight"].T
            x = x + (F.silu(gate) * up) @ w[b + "ffn_down.weight"].T
        return norm(x, "output_norm.weight") @ w["token_embd.weight"].T

    def generate(self, ids, count, temperature, seed=0, stop=(EOS, END)):
        generator = torch.Generator().manual_seed(seed)
        cache, out, feed = [], [], list(ids)
        for _ in range(count):
            logits = self.forward(feed, cache)[-1]
            if temperature == 0:
                token = int(logits.argmax())
            else:
                token = int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))
            if token in stop:
                break
            out.append(token)
            feed = [token]
        return out


def verify_against_checkpoint(args, sp, state):
    """The file against the model it was made from: the tokenizer, and the logits."""
    file = GgufModel(args.out)
    texts = ["Once upon a time there was a König -- who had 3 sons.", "  two  spaces\n\nand lines\t"]
    texts += ["<|user|>\nHi<|end|>"]
    texts += [p for doc in load_grimm(args.data)[:40] for p in doc[:3]]
    texts += ["\n\n".join(doc[:8]) for doc in load_shakespeare(args.data)[:20]]
    for text in texts:
        assert encode_special(sp.encode, text) == file.tokenizer.encode_with_special(text), text
    model = Tales()
    model.load_state_dict(state)
    exact = Tales().eval()
    # The same weights as the file holds, un-permuted, in the training model: only RoPE differs.
    back = {"embed.weight": file.tensors["token_embd.weight"], "norm": file.tensors["output_norm.weight"]}
    names = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output",
             "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}
    for i in range(LAYERS):
        for ours, theirs in names.items():
            t = file.tensors[f"blk.{i}.{theirs}.weight"]
            if ours in "qk":
                heads = HEADS if ours == "q" else KV_HEADS
                t = t.reshape(heads, HEAD_DIM // 2, 2, DIM).swapaxes(1, 2).reshape(-1, DIM)
            back[f"blocks.{i}.{ours}.weight"] = t
        for norm in ("attn_norm", "ffn_norm"):
            back[f"blocks.{i}.{norm}"] = file.tensors[f"blk.{i}.{norm}.weight"]
    exact.load_state_dict(back)
    model.eval()
    ids = [BOS] + sp.encode(texts[3])[:200]
    with torch.no_grad():
        ours = file.forward(ids, [])
        layout = (ours - exact(torch.tensor([ids]))[0]).abs().max().item()
        quant = (ours - model(torch.tensor([ids]))[0]).abs()
    print(f"tokenizer: {len(texts)} texts agree with SentencePiece")
    print(f"logits: largest difference by layout {layout:.2e}, by Q8_0 {quant.max():.3f} (mean {quant.mean():.4f})")
    assert layout < 1e-3 and quant.max() < 1.0
    held = split_held_out(load_corpora(args.data))[1]
    for name, m in (("float32", model), ("Q8_0", exact)):
        result = held_out_perplexity(m, sp, held, bf16=False)
        print(f"held-out perplexity {name}", {k: round(v, 2) for k, v in result.items()})


WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def check(args):
    """Acceptance: words known to the corpora, and no four words more than twice in a sample."""
    model = GgufModel(args.out)
    tok = model.tokenizer
    known = set()
    for docs in load_corpora(args.data).values():
        for doc in docs:
            for paragraph in doc:
                known.update(WORD.findall(paragraph.lower()))
    size = args.out.stat().st_size
    print(f"{args.out.name}: {size} bytes, {model.parameters} parameters")
    good = size <= 8_000_000
    for prompt in ("Once upon a time", "The king", "In the forest", "There was once a"):
        words = unknown = worst = 0
        strange, samples = [], []
        for seed in range(1, 21):
            ids = model.generate([BOS] + tok.encode(prompt), 64, 0.8, seed)
            text = tok.decode(tok.encode(prompt) + ids)
            found = WORD.findall(text.lower())
            if len(ids) == 64:  # the last word may be cut off by the length limit
                found = found[:-1]
            missing = [w for w in found if w not in known]
            strange += missing
            words += len(found)
            unknown += len(missing)
            grams = Counter(zip(*(found[i:] for i in range(4))))
            worst = max([worst, *grams.values()])
            samples.append(text)
        rate = 1 - unknown / max(1, words)
        good = good and rate >= 0.95 and worst <= 2
        print(f"{prompt!r}: {words} words, {rate:.2%} known, a 4-gram at most {worst} times in a sample; "
              f"unknown: {strange}")
        for text in samples[: args.show]:
            print("   |", text.replace("\n", "\n   | "))
    for request in ("Tell me a story about a fox.", "Tell me a story about a king and a princess."):
        text = render_chat([{"role": "user", "content": request}], True)
        ids = tok.encode_with_special(text)
        print(f"chat {request!r}:")
        for seed in range(1, 1 + args.show):
            print("   |", tok.decode(model.generate(ids, 120, 0.8, seed)).strip().replace("\n", "\n   | "))
    print("PASS" if good else "FAIL")
    return 0 if good else 1


def golden(args):
    model = GgufModel(args.out)
    tok = model.tokenizer
    prompt = "Once upon a time"  # its greedy choices are clear ones
    ids = [BOS] + tok.encode(prompt)
    top = model.forward(ids, [])[-1].topk(10)
    # Greedy continuation, and how clear each choice was: a test may stop where it is too close.
    cache, feed, greedy, margins = [], ids, [], []
    for _ in range(32):
        best = model.forward(feed, cache)[-1].topk(2)
        greedy.append(int(best.indices[0]))
        margins.append(round(float(best.values[0] - best.values[1]), 4))
        feed = greedy[-1:]
    chats = []
    for messages, generation in (
        ([{"role": "user", "content": "Tell me a story about a fox."}], True),
        ([{"role": "system", "content": "You are a storyteller."},
          {"role": "user", "content": "Tell me a tale of a king and a raven."}], True),
        ([{"role": "user", "content": "Tell me a story about a miller."},
          {"role": "assistant", "content": "There was once a miller who was poor."},
          {"role": "user", "content": "Go on."},
          {"role": "assistant", "content": "  He had a \"beautiful\" daughter.\n\nAnd a Müller's dog. "}], False),
    ):
        text = render_chat(messages, generation)
        chats.append({"messages": messages, "add_generation_prompt": generation, "text": text,
                      "ids": tok.encode_with_special(text)})
    result = {
        "note": "Computed by tools/bundled_model/train.py --golden in float32 from the dequantized Q8_0 weights "
                "(dequantize first, then float32 matrix products; activations are not quantized). Token ids: "
                "SentencePiece BPE by scores; special tokens are matched in the text first, and every stretch of "
                "plain text (at the start and after each special token) gets one leading space before BPE; "
                "newlines are byte tokens. Chat texts begin with the BOS that the template writes; no second one "
                "is added. margins[i] is the gap between the two best logits at greedy step i.",
        "model": "models/strata-tales.gguf",
        "prompt": prompt,
        "ids": ids,
        "top_logits": [[int(i), round(float(v), 5)] for v, i in zip(top.values, top.indices)],
        "greedy_ids": greedy,
        "margins": margins,
        "greedy_text": tok.decode(ids[1:] + greedy),
        "chat_template": model.template,
        "chats": chats,
    }
    args.golden.parent.mkdir(parents=True, exist_ok=True)
    args.golden.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("wrote", args.golden, "smallest greedy margin", min(margins), "-", result["greedy_text"])
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPO.parent / "shared/data", help="folder of the corpora")
    parser.add_argument("--out", type=Path, default=REPO / "models/strata-tales.gguf", help="the GGUF file")
    parser.add_argument("--work", type=Path, default=REPO / "build/bundled_model", help="tokenizer and checkpoint")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--dropout", type=float, default=0.15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", type=int, default=1, help="samples to print per prompt with --check")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--golden", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.check:
        return check(args)
    if args.golden:
        return golden(args)
    if not args.export:
        train(args)
    export(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
