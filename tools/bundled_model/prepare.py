#!/usr/bin/env python3
"""Clean the corpora of the bundled models into what `strata train` reads.

    prepare.py --data ../shared/data --out build/bundled_model

writes OUT/train/{tales,war-and-peace,plays}.jsonl (a document a line), OUT/train/chats.jsonl (a conversation a line)
and OUT/held-out/{tales,war-and-peace,plays}.txt: every 20th tale, chapter and run of speeches, which training never sees.
"""

import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
SEED = 1812
CHATS = 500


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


def is_held_out(index, every=20):
    """5 %, by whole tales, chapters and scenes."""
    return index % every == every // 2


# ---------------------------------------------------------------------------------------------
# Chats

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


def passage(doc, first, want):
    """Paragraphs from `first` on, about `want` characters; shortened to whole sentences; and the next paragraph."""
    taken, size, i = [], 0, first
    while i < len(doc) and (not taken or size + len(doc[i]) < want):
        taken.append(doc[i])
        size += len(doc[i])
        i += 1
    text = "\n\n".join(taken)
    if len(text) <= 1100:
        return text, i
    cut = max(text.rfind(mark, 0, 1000) for mark in (". ", "? ", "! ", '." ', '?" ', '!" '))
    return (text[: cut + 2].strip() if cut >= 200 else ""), len(doc)


def chat(docs, rng):
    """One conversation around a passage of a tale; the topic is a noun of that passage."""
    while True:
        doc = rng.choice(docs)
        i = 0 if rng.random() < 0.5 else rng.randrange(len(doc))
        passages = []
        for _ in range(1 if rng.random() < 0.75 else 2):
            if i < len(doc):
                text, i = passage(doc, i, rng.randrange(200, 900))
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
            messages.append({"role": "system", "content": rng.choice(SYSTEM)})
        messages.append({"role": "user", "content": rng.choice(REQUESTS).format(topic)})
        messages.append({"role": "assistant", "content": passages[0]})
        for extra in passages[1:]:
            messages.append({"role": "user", "content": rng.choice(GO_ON)})
            messages.append({"role": "assistant", "content": extra})
        return messages


def write_lines(path, field, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        for value in values:
            out.write(json.dumps({field: value}, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPO.parent / "shared/data", help="folder of the corpora")
    parser.add_argument("--out", type=Path, default=REPO / "build/bundled_model")
    args = parser.parse_args()
    corpora = {
        "tales": load_grimm(args.data),
        "war-and-peace": load_tolstoy(args.data),
        "plays": load_shakespeare(args.data),
    }
    (args.out / "held-out").mkdir(parents=True, exist_ok=True)
    for name, docs in corpora.items():
        texts = ["\n\n".join(doc) for doc in docs]
        kept = [t for i, t in enumerate(texts) if not is_held_out(i)]
        held = [t for i, t in enumerate(texts) if is_held_out(i)]
        write_lines(args.out / "train" / f"{name}.jsonl", "text", kept)
        (args.out / "held-out" / f"{name}.txt").write_text("\n\n".join(held) + "\n", encoding="utf-8")
        print(f"{name}: {len(kept)} documents, {sum(len(t.encode()) for t in kept)} bytes; "
              f"held out {len(held)}, {sum(len(t.encode()) for t in held)} bytes")
    rng = random.Random(SEED)
    tales = [doc for i, doc in enumerate(corpora["tales"]) if not is_held_out(i)]
    chats = [chat(tales, rng) for _ in range(CHATS)]
    write_lines(args.out / "train/chats.jsonl", "messages", chats)
    print(f"chats: {CHATS}, {sum(len(m['content'].encode()) for c in chats for m in c)} bytes")


if __name__ == "__main__":
    main()
