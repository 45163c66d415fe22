"""The `openai` package for Python against a running server ($STRATA_URL); every answer is checked against the schema."""

import json
import os
import unittest
import urllib.request

import openai

import openai_schema

URL = os.environ["STRATA_URL"]
KEY = os.environ["STRATA_API_KEY"]
STORY = "the old fox went over the hill and was seen no more. "  # of serve_fake; position p of a text is STORY[p]
MESSAGES = [{"role": "user", "content": "tell me a story"}]


def client(**options):
    return openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=30, **options)


def raw(method, path, body=None, headers=None):
    """(status, headers, body) without the package."""
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, method=method)
    request.add_header("Authorization", "Bearer " + KEY)
    request.add_header("Content-Type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Case(unittest.TestCase):
    def setUp(self):
        self.client = client()
        self.addCleanup(self.client.close)

    def fits(self, name, value):
        if openai_schema.has_schema():
            openai_schema.check(name, value.to_dict() if hasattr(value, "to_dict") else value)

    def raw_json(self, path, body, schema):
        status, _, text = raw("POST", path, body)
        self.assertEqual(status, 200, text)
        answer = json.loads(text)
        self.fits(schema, answer)
        return answer

    def raw_stream(self, path, body, schema):
        status, headers, text = raw("POST", path, {**body, "stream": True})
        self.assertEqual(status, 200, text)
        self.assertEqual(headers["content-type"], "text/event-stream")
        lines = [line[6:] for line in text.decode().split("\n") if line.startswith("data: ")]
        self.assertEqual(lines[-1], "[DONE]")
        chunks = [json.loads(line) for line in lines[:-1]]
        for chunk in chunks:
            self.fits(schema, chunk)
        return chunks


class Embeddings(Case):
    def vector(self, text):
        return [len(text), 3 + ord(text[0]), 3 + ord(text[-1]), 1]

    def test_texts(self):
        answer = self.client.embeddings.create(model="vectors", input=["abc", "hello"])  # the package asks for base64
        self.assertEqual([entry.embedding for entry in answer.data], [self.vector("abc"), self.vector("hello")])
        self.assertEqual([entry.index for entry in answer.data], [0, 1])
        self.assertEqual(answer.usage.total_tokens, 8)

    def test_fits_schema(self):
        for value in ("abc", ["abc", "d"], [5, 6, 7], [[5, 6], [7]]):
            answer = self.raw_json("/v1/embeddings", {"model": "vectors", "input": value}, "CreateEmbeddingResponse")
            self.assertEqual(answer["model"], "vectors")

    def test_floats_and_dimensions(self):
        answer = self.client.embeddings.create(model="vectors", input="abc", encoding_format="float", dimensions=2)
        self.assertAlmostEqual(sum(x * x for x in answer.data[0].embedding), 1, places=5)
        self.assertEqual(len(answer.data[0].embedding), 2)

    def test_errors(self):
        for options in ({"input": ""}, {"input": "x" * 65}, {"input": "x", "dimensions": 5}, {"input": "x", "model": "story"}):
            with self.assertRaises(openai.BadRequestError):
                self.client.embeddings.create(**{"model": "vectors", **options})
        with self.assertRaises(openai.BadRequestError):
            self.client.completions.create(model="vectors", prompt="x")

    def test_rerank(self):
        status, _, text = raw("POST", "/v1/rerank", {"model": "judge", "query": "abc", "documents": ["x", "ab"], "return_documents": True})
        self.assertEqual(status, 200, text)
        results = json.loads(text)["results"]
        self.assertEqual([(r["index"], r["document"]["text"]) for r in results], [(1, "ab"), (0, "x")])
        self.assertGreater(results[0]["relevance_score"], results[1]["relevance_score"])


class Chat(Case):
    def ask(self, **options):
        return self.client.chat.completions.create(**{"model": "story", "messages": MESSAGES, "max_tokens": 24, "temperature": 0, **options})

    def test_answer_and_usage(self):
        answer = self.ask()
        self.assertEqual(len(answer.choices[0].message.content), 24)
        self.assertIn(answer.choices[0].message.content, STORY * 3)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.completion_tokens, 24)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + 24)
        self.assertEqual(answer.model, "story")
        self.raw_json("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "n": 2}, "CreateChatCompletionResponse")

    def test_stream_equals_answer(self):
        whole = self.ask().choices[0].message.content
        text, finish = "", None
        for chunk in self.ask(stream=True):
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        self.assertEqual((text, finish), (whole, "length"))

    def test_stream_usage(self):
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[-1].usage.completion_tokens, 24)
        self.assertEqual(chunks[-1].choices, [])
        self.assertTrue(all(chunk.usage is None for chunk in chunks[:-1]))

    def test_stream_fits_schema(self):
        body = {"model": "story", "messages": MESSAGES, "max_tokens": 8, "logprobs": True, "top_logprobs": 2, "n": 2,
                "stream_options": {"include_usage": True}}
        chunks = self.raw_stream("/v1/chat/completions", body, "CreateChatCompletionStreamResponse")
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 16)

    def test_logprobs(self):
        answer = self.ask(logprobs=True, top_logprobs=3, max_tokens=5)
        content = answer.choices[0].logprobs.content
        self.assertEqual(len(content), 5)
        self.assertEqual("".join(entry.token for entry in content), answer.choices[0].message.content)
        for entry in content:
            self.assertEqual(len(entry.top_logprobs), 3)
            self.assertEqual(entry.top_logprobs[0].token, entry.token)  # greedy
            self.assertLessEqual(entry.logprob, 0)
            self.assertEqual(bytes(entry.bytes).decode(), entry.token)
        self.fits("CreateChatCompletionResponse", answer)

    def test_n_and_seed(self):
        first = [choice.message.content for choice in self.ask(n=4, seed=7, temperature=1.5).choices]
        again = [choice.message.content for choice in self.ask(n=4, seed=7, temperature=1.5).choices]
        other = [choice.message.content for choice in self.ask(n=4, seed=8, temperature=1.5).choices]
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertGreater(len(set(first)), 1)

    def test_stop(self):
        answer = self.ask(stop=["hill", "fox"], max_tokens=120)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertNotIn("fox", answer.choices[0].message.content)
        self.assertNotIn("hill", answer.choices[0].message.content)

    def test_logit_bias(self):
        x = 3 + ord("x")  # the id of that byte
        answer = self.ask(logit_bias={str(x): 100}, max_tokens=4)
        self.assertEqual(answer.choices[0].message.content, "xxxx")

    def test_text_parts(self):
        parts = [{"type": "text", "text": "tell me"}, {"type": "text", "text": "a story"}]
        answer = self.ask(messages=[{"role": "user", "content": parts}])
        self.assertEqual(answer.usage.prompt_tokens, self.ask().usage.prompt_tokens)

    def test_tool_and_reasoning_messages(self):
        calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"city\": \"Rome\"}"}}]
        chat = MESSAGES + [{"role": "assistant", "content": None, "tool_calls": calls},
                           {"role": "tool", "tool_call_id": "call_1", "content": "21.5"},
                           {"role": "assistant", "content": "It is warm.", "reasoning_content": "Rome, so warm."},
                           {"role": "user", "content": "Thanks."}]
        answer = self.ask(messages=chat)
        self.assertGreater(answer.usage.prompt_tokens, self.ask().usage.prompt_tokens)
        again = chat + [answer.choices[0].message, {"role": "user", "content": "More."}]
        self.assertGreater(self.ask(messages=again).usage.prompt_tokens, answer.usage.prompt_tokens)
        # Shown to the model, never called: the answer is plain text.
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
        self.assertTrue(self.ask(messages=chat, tools=tools, tool_choice="none").choices[0].message.content)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.ask(messages=chat, tools=tools)
        self.assertEqual(caught.exception.param, "tools")

    def test_template_options(self):
        opened = MESSAGES + [{"role": "assistant", "content": "Once upon"}]
        prompt = "<|im_start|>user\ntell me a story<|im_end|>\n<|im_start|>assistant\nOnce upon"
        options = {"add_generation_prompt": False, "continue_final_message": True, "chat_template_kwargs": {"enable_thinking": False}}
        self.assertEqual(self.ask(messages=opened, extra_body=options).usage.prompt_tokens, len(prompt))
        self.assertEqual(self.ask(messages=opened, extra_body={"add_generation_prompt": False}).usage.prompt_tokens,
                         len(prompt + "<|im_end|>\n"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.ask(messages=opened, extra_body={"continue_final_message": True})
        self.assertEqual(caught.exception.param, "continue_final_message")
        status, _, text = raw("POST", "/tokenize", {"model": "story", "messages": opened, **options})
        self.assertEqual((status, json.loads(text)["count"]), (200, len(prompt)))

    def test_max_completion_tokens_and_extras(self):
        answer = self.client.chat.completions.create(
            model="story", messages=MESSAGES, max_completion_tokens=6, user="me", presence_penalty=0.5, frequency_penalty=-0.5,
            extra_body={"top_k": 5, "min_p": 0.05, "min_tokens": 6, "ignore_eos": True, "repetition_penalty": 1.1,
                        "typical_p": 0.9, "priority": 1, "timeout": 20})
        self.assertEqual(answer.usage.completion_tokens, 6)


class Completion(Case):
    def ask(self, **options):
        return self.client.completions.create(**{"model": "story", "prompt": "once", "max_tokens": 20, "temperature": 0, **options})

    def test_answer(self):
        answer = self.ask()
        self.assertEqual(answer.choices[0].text, STORY[4:24])
        self.assertEqual(answer.usage.prompt_tokens, 5)
        self.raw_json("/v1/completions", {"model": "story", "prompt": "once"}, "CreateCompletionResponse")

    def test_end_of_text_is_stop(self):
        answer = self.ask(max_tokens=500)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertLess(answer.usage.completion_tokens, 500)

    def test_prompts_of_each_form(self):
        ids = [0] + [3 + ord(c) for c in "once"]
        self.assertEqual(self.ask(prompt=ids).choices[0].text, STORY[4:24])
        self.assertEqual([c.text for c in self.ask(prompt=[ids, ids]).choices], [STORY[4:24]] * 2)
        answer = self.ask(prompt=["once", "o"], n=2)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1, 2, 3])
        self.assertEqual(answer.choices[3].text, STORY[1:21])

    def test_echo_and_logprobs(self):
        answer = self.ask(echo=True, logprobs=2, max_tokens=3)
        choice = answer.choices[0]
        self.assertEqual(choice.text, "once" + STORY[4:7])
        self.assertEqual(len(choice.logprobs.tokens), 5 + 3)
        self.assertIsNone(choice.logprobs.token_logprobs[0])
        self.assertEqual(choice.logprobs.text_offset, [0, 0, 1, 2, 3, 4, 5, 6])
        self.assertGreaterEqual(len(choice.logprobs.top_logprobs[-1]), 2)
        self.fits("CreateCompletionResponse", answer)

    def test_stream(self):
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].text for c in chunks if c.choices), STORY[4:24])
        self.assertEqual(chunks[-1].usage.total_tokens, 25)
        self.raw_stream("/v1/completions", {"model": "story", "prompt": ["a", "b"], "logprobs": 1, "echo": True},
                        "CreateCompletionResponse")

    def test_many_at_once(self):
        prompts = [[0] + [3 + ord(c) for c in "x" * (1 + i)] for i in range(64)]
        answer = self.ask(prompt=prompts, max_tokens=10)
        self.assertEqual([choice.text for choice in answer.choices], [(STORY * 3)[1 + i:11 + i] for i in range(64)])


class Models(Case):
    def test_list_and_retrieve(self):
        models = self.client.models.list()
        self.fits("ListModelsResponse", json.loads(raw("GET", "/v1/models")[2]))
        self.assertEqual([model.id for model in models.data], ["story", "slow", "broken", "vectors", "judge"])
        self.fits("Model", self.client.models.retrieve("slow"))


class Errors(Case):
    def refused(self, kind, **options):
        with self.assertRaises(kind) as caught:
            self.client.chat.completions.create(**{"model": "story", "messages": MESSAGES, **options})
        if isinstance(caught.exception, openai.APIStatusError):
            self.fits("ErrorResponse", caught.exception.response.json())
        return caught.exception

    def test_bad_fields_are_named(self):
        cases = {"temperature": 3, "top_p": -1, "n": 0, "max_tokens": -1, "presence_penalty": 9, "frequency_penalty": "x",
                 "stop": [""], "seed": 1.5, "top_logprobs": 99, "logit_bias": {"x": 1}, "tools": [{"type": "function"}],
                 "response_format": {"type": "json_object"}, "logprobs": "yes"}
        for field, value in cases.items():
            with self.subTest(field):
                error = self.refused(openai.BadRequestError, **{field: value})
                self.assertEqual(error.param, field)
                self.assertEqual(error.type, "invalid_request_error")

    def test_messages(self):
        self.assertEqual(self.refused(openai.BadRequestError, messages=[]).param, "messages")
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
        self.assertIn("image_url", self.refused(openai.BadRequestError, messages=image).message)

    def test_unknown_model(self):
        error = self.refused(openai.NotFoundError, model="nobody")
        self.assertEqual((error.code, error.param), ("model_not_found", "model"))

    def test_prompt_over_the_context_says_both_numbers(self):
        error = self.refused(openai.BadRequestError, messages=[{"role": "user", "content": "x" * 2500}])
        self.assertIn("2048", error.message)
        self.assertRegex(error.message, r"25\d\d")

    def test_wrong_key(self):
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=URL + "/v1", api_key="wrong", max_retries=0).models.list()

    def test_failures_on_the_server(self):
        self.refused(openai.InternalServerError, model="broken")
        error = self.refused(openai.APIStatusError, model="slow", max_tokens=500, extra_body={"timeout": 0.01})
        self.assertEqual(error.status_code, 408)

    def test_failed_stream_raises(self):
        stream = self.client.completions.create(model="slow", prompt="x", max_tokens=500, stream=True, extra_body={"timeout": 0.3, "ignore_eos": True})
        with self.assertRaises(openai.APIError):
            for _ in stream:
                pass

    def test_bodies_that_are_no_json(self):
        for body in (b"", b"{", b"[]", b"\xff\xfe", b'{"temperature": NaN}', b"null", b'{"messages": "\xc3\x28"}'):
            status, _, text = raw("POST", "/v1/chat/completions", body)
            self.assertEqual(status, 400, body)
            self.fits("ErrorResponse", json.loads(text))

    def test_paths_and_methods(self):
        for method, path, expected in (("GET", "/nothing", 404), ("GET", "/v1/chat/completions", 405),
                                       ("POST", "/v1/embeddings", 400), ("POST", "/v1/rerank", 400), ("GET", "/v1/models/none", 404)):
            status, _, text = raw(method, path)
            self.assertEqual(status, expected, path)
            self.fits("ErrorResponse", json.loads(text))

    def test_too_large(self):
        status, _, text = raw("POST", "/v1/completions", b" " * (17 << 20))
        self.assertEqual(status, 413)
        self.fits("ErrorResponse", json.loads(text))


class Rest(Case):
    def test_request_id(self):
        _, headers, _ = raw("GET", "/health", headers={"x-request-id": "my-id"})
        self.assertEqual(headers["x-request-id"], "my-id")
        self.assertTrue(self.client.models.list()._request_id.startswith("req-"))

    def test_predict(self):
        answer = json.loads(raw("POST", "/v1/models/story/predict", {"input": "once", "parameters": {"temperature": 0, "max_tokens": 4}})[2])
        self.assertEqual(answer["output"], STORY[4:8])
        text = raw("POST", "/v1/models/story/predict", {"input": "once", "parameters": {"max_tokens": 4}, "stream": True})[2].decode()
        self.assertIn("event: progress\ndata: {\"token\":", text)
        self.assertIn("event: done\ndata: {", text)

    def test_tokenize_and_back(self):
        ids = json.loads(raw("POST", "/tokenize", {"model": "story", "prompt": "once", "add_special_tokens": False})[2])["tokens"]
        self.assertEqual(ids, [3 + ord(c) for c in "once"])
        self.assertEqual(json.loads(raw("POST", "/detokenize", {"model": "story", "tokens": ids})[2])["prompt"], "once")

    def test_probes(self):
        for path in ("/health", "/ready", "/metrics"):
            self.assertEqual(raw("GET", path)[0], 200, path)


class Adapters(Case):
    """An adapter is asked for by its name, in the place of a model."""

    def setUp(self):
        super().setUp()
        status, _, text = raw("POST", "/v1/load_lora_adapter", {"lora_name": "fox", "lora_path": "skip/4", "base_model_name": "story"})
        self.assertEqual((status, text), (200, b"Success: LoRA adapter 'fox' added successfully."))

    def tearDown(self):
        raw("POST", "/v1/unload_lora_adapter", {"lora_name": "fox"})

    def test_is_chosen_by_name(self):
        def tell(model):
            answer = self.client.completions.create(model=model, prompt="once", max_tokens=20, temperature=0)
            self.fits("CreateCompletionResponse", answer)
            self.assertEqual(answer.model, model)
            return answer.choices[0].text

        self.assertEqual(tell("story"), STORY[4:24])
        self.assertEqual(tell("fox"), STORY[8:28])
        chat = self.client.chat.completions.create(model="fox", messages=MESSAGES, max_tokens=8, temperature=0)
        self.fits("CreateChatCompletionResponse", chat)

    def test_is_listed_with_its_model(self):
        models = {model.id: model for model in self.client.models.list()}
        self.assertEqual(models["fox"].parent, "story")
        self.assertIsNone(models["story"].parent)
        self.assertEqual(self.client.models.retrieve("fox").root, "skip/4")

    def test_is_unknown_once_unloaded(self):
        raw("POST", "/v1/unload_lora_adapter", {"lora_name": "fox"})
        with self.assertRaises(openai.NotFoundError):
            self.client.completions.create(model="fox", prompt="once", max_tokens=2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
