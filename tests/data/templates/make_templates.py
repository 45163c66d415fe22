#!/usr/bin/env python3
"""Records what Jinja2, set up as transformers sets it up, makes of templates: the reference of our interpreter's tests.

Usage: make_templates.py [--seed N --snippets N --random N --out DIR]
Needs transformers and jinja2, and the shared templates at ../shared/data/chat-templates beside the repository.

chats.jsonl      one line per case: the variables of a rendering
renderings.jsonl one line per shared template: for every case "FNV1a64:LENGTH" of the text (UTF-8), or "!" for an error;
                 the text itself for a few cases
published.jsonl  which published golden texts Jinja2 itself reaches, and with which special tokens
snippets.jsonl   {"s": template, "o": text} or {"s": template, "e": 1} for an error, variables in its first line
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import re
import signal

os.environ["TZ"] = "UTC"
import jinja2.nodes  # noqa: E402
import transformers.utils.chat_template_utils as hf  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SHARED = HERE.parents[2].parent / "shared" / "data" / "chat-templates"
NOW = datetime.datetime(2025, 3, 9, 14, 5, 7)


# Slices of constants are folded by other rules than slices of variables ({{ 1[:2] }} prints nothing, {{ n[:2] }} fails):
# the reference has one rule, that of variables.
fold_item = jinja2.nodes.Getitem.as_const


def fold_item_but_no_slice(node, eval_ctx=None):
    if isinstance(node.arg, jinja2.nodes.Slice):
        raise jinja2.nodes.Impossible()
    return fold_item(node, eval_ctx)


jinja2.nodes.Getitem.as_const = fold_item_but_no_slice


def compile_template(source):
    template = hf._compile_jinja_template.__wrapped__(source)
    template.globals["strftime_now"] = lambda form: NOW.strftime(form)
    return template


class TooSlow(Exception):
    pass


def render(source, variables):
    """The text, or None for an error of any kind."""
    def stop(*_):
        raise TooSlow()

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        kwargs = json.loads(json.dumps(variables))  # a copy: |indent of a list changes the list
        messages = hf._alias_reasoning_fields(kwargs.pop("messages", []))
        base = {"tools": None, "documents": None, "add_generation_prompt": False}
        text = compile_template(source).render(messages=messages, **{**base, **kwargs})
        text.encode("utf-8")
        return text
    except TooSlow:
        raise
    except (Exception, RecursionError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def fingerprint(text):
    if text is None:
        return "!"
    data = text.encode("utf-8")
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}:{len(data)}"


# ---------------------------------------------------------------------------------------------------------------- chats

def message(role, content, **more):
    return {"role": role, "content": content, **more}


def tool_call(name, arguments, call_id="call_0001"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Get the weather of a \"city\" & more <now>.",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "The city, e.g. Zürich"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": ["integer", "null"], "minimum": 0, "maximum": 18446744073709551615},
            "place": {"type": "object", "properties": {"lat": {"type": "number"}, "tags": {
                "type": "array", "items": {"type": "string"}}}, "required": ["lat"]}},
            "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds numbers.", "strict": True,
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                       "required": ["a", "b"], "additionalProperties": False},
        "return": {"type": "number", "description": "The sum"}}},
    {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}},
]

PLAIN_TOOLS = [{"type": "function", "function": {
    "name": "search", "description": "Finds pages.", "parameters": {"type": "object", "properties": {
        "query": {"type": "string", "description": "What to find"},
        "limits": {"type": "object", "description": "Bounds", "additionalProperties": {"type": "integer"}},
        "kinds": {"type": "array", "items": {"type": "string"}, "description": "Which"}}, "required": ["query"]}}}]

SYSTEM = message("system", "You are a helpful assistant.")
USER = message("user", "Hello, how are you?")
REPLY = message("assistant", "I'm doing great. How can I help you today?")
MORE = message("user", "  I'd like to show off\nhow chat templating works!  ")
PARTS = [{"type": "text", "text": "What is in "}, {"type": "text", "text": "this picture?"}]
CALL = message("assistant", None, tool_calls=[tool_call("get_weather", {"city": "Zürich", "days": 3, "deep": {
    "x": [1, 2.5, None, True]}})])
CALL_TEXT = message("assistant", "Let me look.", tool_calls=[tool_call("get_weather", '{"city": "Paris"}', "abcdefghi"),
                                                            tool_call("add", {"a": 1, "b": -2.0}, "jklmnopqr")])
CALL_EMPTY = message("assistant", "", tool_calls=[tool_call("now", {}, "abc123def")])
RESULT = message("tool", "{\"temperature\": 21.5}", tool_call_id="call_0001", name="get_weather")
RESULT_2 = message("tool", "3", tool_call_id="abcdefghi", name="add")
RESULT_DICT = message("tool", {"temperature": 21.5, "sky": "clear ☀"}, tool_call_id="call_0001", name="get_weather")
RESULT_PARTS = message("tool", [{"type": "text", "text": "sunny"}], tool_call_id="call_0001", name="get_weather")
THOUGHT = message("assistant", "The answer is 4.", reasoning_content="Two and two\nmake four.")
THOUGHT_INLINE = message("assistant", "<think>\nTwo and two\n</think>\n\nThe answer is 4.")
THOUGHT_CALL = message("assistant", "", reasoning_content="I need the weather.", tool_calls=CALL["tool_calls"])
UNICODE = message("user", "Grüße, 你好, مرحبا, 👩‍👩‍👧 \u00a0 \u2028 İstanbul ẞ ﬁ \"quoted\" 'single' <b>&amp;</b> \\n {{ x }}")

CHATS = {
    "user": [USER],
    "system": [SYSTEM, USER],
    "turns": [USER, REPLY, MORE],
    "system-turns": [SYSTEM, USER, REPLY, MORE],
    "closed": [SYSTEM, USER, REPLY],
    "long": [SYSTEM] + [USER, REPLY] * 4 + [MORE],
    "unicode": [message("system", "Antworte auf Deutsch — bitte."), UNICODE, message("assistant", "Gern: €5 ✓"), UNICODE],
    "empty-content": [message("system", ""), message("user", ""), message("assistant", ""), message("user", "")],
    "blank-content": [message("system", "  \n "), message("user", "\n\n x \n"), message("assistant", " \t"), USER],
    "parts": [SYSTEM, message("user", PARTS)],
    "parts-all": [message("system", [{"type": "text", "text": "Be kind."}]), message("user", PARTS),
                  message("assistant", [{"type": "text", "text": "A cat."}]), message("user", PARTS)],
    "image": [message("user", [{"type": "image"}, {"type": "text", "text": "Describe."}])],
    "image-url": [message("user", [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "http://a/b.png"}}])],
    "audio-video": [message("user", [{"type": "audio", "audio": "a.wav"}, {"type": "video", "video": "v.mp4"}, {"type": "text", "text": "?"}])],
    "call": [USER, CALL],
    "call-result": [SYSTEM, USER, CALL, RESULT],
    "call-result-reply": [SYSTEM, USER, CALL, RESULT, message("assistant", "It is 21.5 degrees."), MORE],
    "two-calls": [USER, CALL_TEXT, RESULT, RESULT_2],
    "two-calls-reply": [SYSTEM, USER, CALL_TEXT, RESULT, RESULT_2, REPLY, MORE, CALL_EMPTY, RESULT_2],
    "empty-call": [USER, CALL_EMPTY, RESULT_2],
    "result-dict": [USER, CALL, RESULT_DICT],
    "result-parts": [USER, CALL, RESULT_PARTS, REPLY],
    "ipython": [USER, CALL, message("ipython", "42"), REPLY, USER],
    "thought": [USER, THOUGHT, MORE],
    "thought-last": [SYSTEM, USER, THOUGHT],
    "thought-inline": [USER, THOUGHT_INLINE, MORE],
    "thought-inline-last": [USER, THOUGHT_INLINE],
    "thought-call": [USER, THOUGHT_CALL, RESULT],
    "thought-call-reply": [SYSTEM, USER, THOUGHT_CALL, RESULT, THOUGHT, MORE, THOUGHT_CALL, RESULT],
    "thinking-name": [USER, message("assistant", "4.", thinking="2+2"), MORE],
    "reasoning-name": [USER, message("assistant", "4.", reasoning="2+2"), MORE],
    "developer": [message("developer", "Be terse."), USER],
    "system-developer": [SYSTEM, message("developer", "Be terse."), USER, REPLY, USER],
    "late-system": [USER, REPLY, SYSTEM, MORE],
    "two-systems": [SYSTEM, message("system", "Also be brief."), USER],
    "two-users": [USER, MORE],
    "assistant-first": [REPLY, USER],
    "unknown-role": [message("narrator", "Once upon a time")],
    "no-messages": [],
    "no-content": [{"role": "user"}, {"role": "assistant", "content": None}, USER],
    "named": [message("user", "Hi", name="Ann"), message("assistant", "Hi Ann", prefix=True)],
    "think-switch": [message("system", "/no_think be quick"), message("user", "Why? /think"), REPLY, message("user", "So? /no_think")],
}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def chat_cases():
    cases = []

    def add(name, **more):
        cases.append({"messages": CHATS[name], **SPECIAL, **more})

    for name in CHATS:
        add(name, add_generation_prompt=True)
    for name in ("user", "system-turns", "closed", "call-result", "two-calls-reply", "thought-last", "unicode", "parts-all"):
        add(name, add_generation_prompt=False)
    for name in ("user", "system", "call", "call-result-reply", "two-calls-reply", "thought-call-reply", "empty-call",
                 "result-dict", "result-parts", "developer", "unicode", "think-switch", "ipython"):
        add(name, tools=TOOLS, add_generation_prompt=True)
    for name in ("user", "turns", "system-turns", "call-result-reply", "two-calls-reply", "thought-call-reply", "unicode"):
        add(name, tools=PLAIN_TOOLS, add_generation_prompt=True)
    add("system", tools=[TOOLS[1]], add_generation_prompt=False)
    add("user", tools=[], add_generation_prompt=True)
    add("user", tools=[tool["function"] for tool in TOOLS[:2]], add_generation_prompt=True)
    for flag in (True, False):
        for name in ("user", "system-turns", "thought", "thought-call-reply", "think-switch"):
            add(name, enable_thinking=flag, thinking=flag, add_generation_prompt=True)
        add("thought-call-reply", tools=TOOLS, enable_thinking=flag, thinking=flag, preserve_thinking=flag,
            clear_thinking=flag, add_generation_prompt=True)
    for effort in ("low", "high", "none"):
        add("system-turns", reasoning_effort=effort, thinking_effort=effort, add_generation_prompt=True)
    add("user", thinking_mode="thinking", thinking_budget=512, add_generation_prompt=True)
    add("user", thinking_mode="chat", thinking_budget=0, add_generation_prompt=True)
    add("system-turns", date_string="01 Jan 2024", tools_in_user_message=False, tools=TOOLS, add_generation_prompt=True)
    add("system-turns", builtin_tools=["wolfram_alpha", "code_interpreter"], tools=TOOLS, add_generation_prompt=True)
    add("user", xml_tools=["def f(): pass"], python_tools=["x"], custom_instructions="Sing.", add_generation_prompt=True)
    add("turns", documents=[{"title": "T1", "text": "One."}, {"title": "T2", "text": "Zwei ü", "doc_id": 7}],
        add_generation_prompt=True)
    add("user", system_message="S!", model_identity="M", chat_system="c", controls={"length": "short"},
        add_generation_prompt=True)
    return cases


def write_renderings(out, cases):
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(SHARED.glob("*.jinja"))}
    lines = (SHARED / "golden" / "templates.jsonl").read_text(encoding="utf-8").splitlines()
    for i, line in enumerate(lines):
        sources[f"golden:{i}"] = next(iter(json.loads(line).values()))
    shown = random.Random(1)
    with open(out / "renderings.jsonl", "w", encoding="utf-8") as file:
        for name, source in sources.items():
            texts = [render(source, case) for case in cases]
            row = {"template": name, "results": [fingerprint(text) for text in texts]}
            good = [i for i, text in enumerate(texts) if text is not None and len(text) < 4000]
            if name.startswith("golden:"):
                good = []
            row["texts"] = {str(i): texts[i] for i in sorted(shown.sample(good, min(1, len(good))))}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            print(f"{name}: {sum(t is not None for t in texts)} texts, {sum(t is None for t in texts)} errors")


def write_published(out):
    """Ollama's goldens come from templates in another language; this finds the ones its Jinja originals agree with."""
    golden = SHARED / "golden"
    user, reply = USER, REPLY
    second = message("user", "I'd like to show off how chat templating works!")
    chats = {"user": [user], "user-assistant-user": [user, reply, second],
             "system-user-assistant-user": [SYSTEM, user, reply, second]}
    tokens = [{}, {"bos_token": "", "eos_token": ""}, {"bos_token": "<s>", "eos_token": "</s>"}]
    reached = []
    for i, line in enumerate((golden / "templates.jsonl").read_text(encoding="utf-8").splitlines()):
        (name, source), = json.loads(line).items()
        for case, messages in chats.items():
            path = golden / name / case
            if not path.exists():
                continue
            expected = path.read_text(encoding="utf-8")
            for special in tokens:
                variables = {"messages": messages, "add_generation_prompt": True, **special}
                if render(source, variables) == expected:
                    reached.append({"line": i, "golden": f"{name}/{case}", "variables": variables})
                    break
    with open(out / "published.jsonl", "w", encoding="utf-8") as file:
        for row in reached:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"published: {len(reached)} renderings, of {len({r['golden'] for r in reached})} golden texts")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--snippets", type=int, default=500)
    parser.add_argument("--random", type=int, default=110)
    parser.add_argument("--only-snippets", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    args = parser.parse_args()
    if not args.only_snippets:
        cases = chat_cases()
        with open(args.out / "chats.jsonl", "w", encoding="utf-8") as file:
            for case in cases:
                file.write(json.dumps(case, ensure_ascii=False) + "\n")
        write_renderings(args.out, cases)
        write_published(args.out)
    import snippets
    snippets.write(args.out / "snippets.jsonl", render, args.seed, args.snippets, args.random)


if __name__ == "__main__":
    main()
