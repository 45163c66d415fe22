#!/usr/bin/env python3
"""Random conversations through every shared template, as transformers renders them.

Usage: random_chats.py [--count N] [--seed S] [--out FILE]
Needs transformers and jinja2, and the shared templates at ../shared/data/chat-templates beside the repository.

Each line of FILE is {"template", "variables", "continued", "text"}; where transformers raises, "error" stands instead of
"text": the words of raise_exception, or null for any other error. The committed sample is random_chats.jsonl; a larger
set is tested with STRATA_RANDOM_CHATS=FILE build/release/bin/text_golden_test --gtest_filter='*RandomChats*'.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import signal

os.environ["TZ"] = "UTC"
import jinja2.exceptions  # noqa: E402
import transformers.utils.chat_template_utils as hf  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SHARED = HERE.parents[2].parent / "shared" / "data" / "chat-templates"
NOW = datetime.datetime(2025, 3, 9, 14, 5, 7)
SECONDS = 10

compiled = {}
compile_template = hf._compile_jinja_template.__wrapped__ if hasattr(hf._compile_jinja_template, "__wrapped__") \
    else hf._compile_jinja_template


def compile_once(source):
    if source not in compiled:
        template = compile_template(source)
        template.globals["strftime_now"] = lambda form: NOW.strftime(form)
        compiled[source] = template
    return compiled[source]


hf._compile_jinja_template = compile_once

WORDS = ("hello", "the", "weather", "in", "Zürich", "你好", "мир", "42", "3.14", "<b>", "&amp;", "\"quoted\"", "it's", "a\\b",
         "{{ x }}", "{% if %}", "</think>", "<think>", "<|im_end|>", "[INST]", "👩‍👧", "\t", "\n", "\n\n", "  ", "İ", "ß", "ﬁ",
         "%s", "{}", "\u00a0", "\u2028", "/no_think", "[TOOL_CALLS]", "null", "true", "code:\n```py\nx = 1\n```")


class Chats:
    def __init__(self, rng):
        self.rng = rng
        self.odd = 1.0  # scales what few templates take: parts, missing fields, results that are no text

    def maybe(self, share):
        return self.rng.random() < share

    def text(self, longest=12):
        if self.maybe(0.05):
            return self.rng.choice(["", " ", "\n", "  \n "])
        words = [self.rng.choice(WORDS) for _ in range(self.rng.randint(1, longest))]
        text = " ".join(words)
        if self.maybe(0.1):
            text = self.rng.choice([" ", "\n", ""]) + text + self.rng.choice([" ", "\n\n", "\t"])
        if self.maybe(0.08):
            text = "<think>\n" + self.text(4) + "\n</think>\n\n" + text
        return text

    def content(self, parts_share=0.15):
        if self.maybe(parts_share * self.odd):
            parts = [{"type": "text", "text": self.text()} for _ in range(self.rng.randint(1, 3))]
            if self.maybe(0.15):
                kind = self.rng.choice(["image", "image_url", "audio", "video"])
                parts.insert(self.rng.randint(0, len(parts)), {"type": kind, kind: "http://host/file"})
            return parts
        return self.text()

    def value(self, depth=0):
        pick = self.rng.randint(0, 9 if depth < 3 else 6)
        if pick <= 1:
            return self.text(3)
        if pick == 2:
            return self.rng.choice([0, 1, -1, 7, 10**6, 2**53, -(2**40), 2**64 - 1])
        if pick == 3:
            return self.rng.choice([0.5, -2.25, 1e-7, 1e22, 3.0, 0.1, 123456.789])
        if pick == 4:
            return self.rng.choice([True, False])
        if pick == 5:
            return None
        if pick == 6:
            return self.rng.choice(["a", "", "x y"])
        if pick == 7:
            return [self.value(depth + 1) for _ in range(self.rng.randint(0, 3))]
        return {self.rng.choice(("a", "b", "key", "näme", "with space", "items", "type", "0")): self.value(depth + 1)
                for _ in range(self.rng.randint(0, 3))}

    def arguments(self):
        names = ("city", "unit", "n", "filter", "items", "query", "ü")
        return {self.rng.choice(names): self.value() for _ in range(self.rng.randint(0, 3))}

    def schema(self, depth=0):
        kind = self.rng.choice(["string", "integer", "number", "boolean", "array", "object", "union", "any"])
        out = {}
        if kind == "union":
            out["type"] = [self.rng.choice(["string", "integer"]), "null"]
        elif kind != "any":
            out["type"] = kind
        if self.maybe(0.7):
            out["description"] = self.text(5)
        if kind == "string" and self.maybe(0.4):
            out["enum"] = [self.text(1) for _ in range(self.rng.randint(1, 3))]
        if kind == "array" and (self.maybe(0.8)):
            out["items"] = self.schema(depth + 1) if depth < 2 else {"type": "string"}
        if kind == "object" and depth < 2:
            out["properties"] = {f"p{i}": self.schema(depth + 1) for i in range(self.rng.randint(0, 2))}
            if self.maybe(0.3):
                out["additionalProperties"] = self.rng.choice([False, {"type": "integer"}])
        if self.maybe(0.15):
            out["default"] = self.value(2)
        if self.maybe(0.1):
            out["nullable"] = self.maybe(0.5)
        if self.maybe(0.08) and depth < 2:
            out["anyOf"] = [self.schema(depth + 1), {"type": "null"}]
        return out

    def tool(self):
        properties = {name: self.schema() for name in self.rng.sample(["city", "unit", "n", "filter", "items"], self.rng.randint(0, 4))}
        function = {"name": self.rng.choice(["get_weather", "add", "search", "f"]), "description": self.text(6),
                    "parameters": {"type": "object", "properties": properties}}
        if properties and self.maybe(0.7):
            function["parameters"]["required"] = self.rng.sample(list(properties), self.rng.randint(0, len(properties)))
        if self.maybe(0.2):
            function["parameters"]["additionalProperties"] = False
        if self.maybe(0.2):
            function["strict"] = True
        if self.maybe(0.15):
            function["return"] = {"type": "string", "description": "what comes back"}
        if self.maybe(0.05 * self.odd):
            del function["description"]
        return function if self.maybe(0.1 * self.odd) else {"type": "function", "function": function}

    def assistant(self, calls):
        message = {"role": "assistant"}
        if calls or not self.maybe(0.02 * self.odd):
            message["content"] = self.rng.choice([None if self.maybe(self.odd) else "", "", self.text()]) if calls else self.content(0.08)
        if calls and self.maybe(0.1 * self.odd):
            del message["content"]
        if self.maybe(0.3):
            message[self.rng.choice(["reasoning_content", "reasoning_content", "reasoning", "thinking"])] = self.text()
        if calls:
            message["tool_calls"] = []
            for i in range(calls):
                arguments = self.arguments()
                call = {"id": f"call{self.rng.randint(0, 99999):05d}", "type": "function", "function": {
                    "name": self.rng.choice(["get_weather", "add", "search"]),
                    "arguments": json.dumps(arguments, ensure_ascii=self.maybe(0.5)) if self.maybe(0.4) else arguments}}
                if self.maybe(0.05 * self.odd):
                    del call["id"]
                message["tool_calls"].append(call if not self.maybe(0.05 * self.odd) else call["function"])
        return message

    def result(self, call):
        message = {"role": "tool", "content": self.rng.choice([self.text(), self.text(), json.dumps(self.value()),
                                                               self.value(1) if self.maybe(self.odd) else self.text(), self.content(0.5)])}
        if self.maybe(0.9) and "id" in call:
            message["tool_call_id"] = call["id"]
        if self.maybe(0.6):
            message["name"] = call.get("function", call)["name"]
        return message

    def messages(self):
        out = []
        if self.maybe(0.45):
            out.append({"role": self.rng.choice(["system"] * 5 + ["developer"]), "content": self.content(0.08)})
        for _ in range(self.rng.randint(1, 4)):
            user = {"role": "user", "content": self.content()}
            if self.maybe(0.05):
                user["name"] = "Ann"
            out.append(user)
            while self.maybe(0.35):
                asked = self.assistant(self.rng.randint(1, 2))
                out.append(asked)
                out.extend(self.result(call) for call in asked["tool_calls"])
            out.append(self.assistant(0))
        if self.maybe(0.55):
            out.pop()  # the model's turn
        if self.maybe(0.12 * self.odd) and len(out) > 1:
            i = self.rng.randrange(len(out))
            out.insert(i, self.rng.choice([dict(out[i]), {"role": "system", "content": self.text()},
                                           {"role": "narrator", "content": self.text()}, {"role": "ipython", "content": "1"}]))
        return out

    def variables(self):
        rng = self.rng
        self.odd = rng.choice([0.0, 0.0, 0.15, 1.0])
        out = {"messages": self.messages(), "bos_token": rng.choice(["<s>", "<|begin|>", ""]), "eos_token": "</s>"}
        if self.maybe(0.7):
            out["add_generation_prompt"] = self.maybe(0.7)
        if self.maybe(0.4):
            out["tools"] = [self.tool() for _ in range(rng.randint(0 if self.maybe(0.1) else 1, 3))]
        if self.maybe(0.1):
            out["documents"] = [{"title": self.text(3), "text": self.text()} for _ in range(rng.randint(1, 3))]
        for name, values in (("enable_thinking", (True, False)), ("thinking", (True, False)), ("preserve_thinking", (True, False)),
                             ("clear_thinking", (True, False)), ("reasoning_effort", ("low", "medium", "high", "none")),
                             ("thinking_mode", ("thinking", "chat")), ("thinking_budget", (0, 512, 4096)),
                             ("date_string", ("01 Jan 2024",)), ("tools_in_user_message", (True, False)),
                             ("builtin_tools", (["wolfram_alpha"], [])), ("xml_tools", (["def f(): pass"],)),
                             ("custom_instructions", ("Sing.",)), ("unused", (1,))):
            if self.maybe(0.12):
                out[name] = rng.choice(values)
        return out


class TooSlow(Exception):
    pass


def stop(*_):
    raise TooSlow()


def render(source, variables, continued):
    copy = json.loads(json.dumps(variables))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        texts, _ = hf.render_jinja_template([copy.pop("messages")], chat_template=source, continue_final_message=continued, **copy)
        texts[0].encode("utf-8")
        return {"text": texts[0]}
    except TooSlow:
        raise
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error) if type(error) is jinja2.exceptions.TemplateError else None}
    except Exception:
        return {"error": None}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def sources():
    out = {path.name: path.read_text(encoding="utf-8") for path in sorted(SHARED.glob("*.jinja"))}
    for i, line in enumerate((SHARED / "golden" / "templates.jsonl").read_text(encoding="utf-8").splitlines()):
        out[f"golden:{i}"] = next(iter(json.loads(line).values()))
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=67)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "random_chats.jsonl")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, stop)
    templates = sources()
    names = list(templates)
    chats = Chats(random.Random(args.seed))
    texts = raised = failed = 0
    with open(args.out, "w", encoding="utf-8") as file:
        for i in range(args.count):
            name = names[i % len(names)]
            variables = chats.variables()
            continued = not variables.get("add_generation_prompt") and chats.maybe(0.4)
            outcome = render(templates[name], variables, continued)
            texts += "text" in outcome
            raised += outcome.get("error") is not None
            failed += "text" not in outcome and outcome["error"] is None
            file.write(json.dumps({"template": name, "variables": variables, "continued": continued, **outcome},
                                  ensure_ascii=False) + "\n")
    print(f"{len(names)} templates: {texts} texts, {raised} raised by the template, {failed} other errors")


if __name__ == "__main__":
    main()
