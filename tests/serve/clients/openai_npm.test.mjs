// The `openai` package for node against a running server (STRATA_URL).
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';

const baseURL = process.env.STRATA_URL + '/v1';
const client = new OpenAI({ baseURL, apiKey: process.env.STRATA_API_KEY, maxRetries: 0, timeout: 30_000 });
const story = 'the old fox went over the hill and was seen no more. ';
const messages = [{ role: 'user', content: 'tell me a story' }];
const ask = (options) => client.chat.completions.create({ model: 'story', messages, max_tokens: 24, temperature: 0, ...options });

test('chat with usage', async () => {
  const answer = await ask();
  assert.equal(answer.choices[0].message.content.length, 24);
  assert.ok((story + story + story).includes(answer.choices[0].message.content));
  assert.equal(answer.choices[0].finish_reason, 'length');
  assert.equal(answer.usage.completion_tokens, 24);
});

test('a stream gives the same text, then usage', async () => {
  const whole = (await ask()).choices[0].message.content;
  let text = '';
  let usage = null;
  for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole);
  assert.equal(usage.completion_tokens, 24);
});

test('completion, several prompts and choices', async () => {
  const answer = await client.completions.create({ model: 'story', prompt: ['once', 'o'], n: 2, max_tokens: 5, temperature: 0 });
  assert.deepEqual(answer.choices.map((c) => c.text), [story.slice(4, 9), story.slice(4, 9), story.slice(1, 6), story.slice(1, 6)]);
});

test('embeddings', async () => {
  const answer = await client.embeddings.create({ model: 'vectors', input: ['abc', 'hello'] });
  assert.deepEqual(answer.data.map((entry) => entry.embedding), [[3, 100, 102, 1], [5, 107, 114, 1]]);
  assert.equal(answer.usage.prompt_tokens, 8);
  await assert.rejects(client.embeddings.create({ model: 'story', input: 'x' }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'model');
});

test('logprobs', async () => {
  const answer = await ask({ logprobs: true, top_logprobs: 2, max_tokens: 3 });
  const content = answer.choices[0].logprobs.content;
  assert.equal(content.map((entry) => entry.token).join(''), answer.choices[0].message.content);
  assert.equal(content[0].top_logprobs.length, 2);
});

test('seed, n and stop', async () => {
  const sample = async (seed) => (await ask({ seed, n: 3, temperature: 1.5 })).choices.map((c) => c.message.content);
  assert.deepEqual(await sample(1), await sample(1));
  assert.notDeepEqual(await sample(1), await sample(2));
  const stopped = await ask({ stop: 'fox', max_tokens: 120 });
  assert.equal(stopped.choices[0].finish_reason, 'stop');
  assert.ok(!stopped.choices[0].message.content.includes('fox'));
});

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ['story', 'slow', 'broken', 'vectors', 'judge']);
  assert.equal((await client.models.retrieve('story')).object, 'model');
});

test('tool and reasoning messages', async () => {
  const tool_calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"city": "Rome"}' } }];
  const chat = [...messages, { role: 'assistant', content: null, tool_calls }, { role: 'tool', tool_call_id: 'c', content: '21.5' },
    { role: 'assistant', content: 'It is warm.', reasoning_content: 'Rome, so warm.' }, { role: 'user', content: [{ type: 'text', text: 'Thanks.' }] }];
  const first = await ask({ messages: chat });
  assert.ok(first.usage.prompt_tokens > (await ask({})).usage.prompt_tokens);
  const second = await ask({ messages: [...chat, first.choices[0].message, messages[0]] });
  assert.ok(second.usage.prompt_tokens > first.usage.prompt_tokens);
  const opened = [...messages, { role: 'assistant', content: 'Once upon' }];
  const closed = await ask({ messages: opened, add_generation_prompt: false });
  const continued = await ask({ messages: opened, add_generation_prompt: false, continue_final_message: true });
  assert.equal(closed.usage.prompt_tokens - continued.usage.prompt_tokens, '<|im_end|>\n'.length);
});

test('errors', async () => {
  await assert.rejects(ask({ temperature: 3 }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
  await assert.rejects(ask({ tools: [{ type: 'function', function: { name: 'f' } }] }), (e) => e.status === 400 && e.param === 'tools');
  await assert.rejects(ask({ model: 'nobody' }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
  await assert.rejects(ask({ model: 'broken' }), (e) => e instanceof OpenAI.InternalServerError);
  const stranger = new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (e) => e instanceof OpenAI.AuthenticationError);
});

test('a failed stream is an error', async () => {
  await assert.rejects(async () => {
    const stream = await client.chat.completions.create({ model: 'slow', messages, stream: true, timeout: 0.3, ignore_eos: true });
    for await (const chunk of stream) void chunk;
  }, OpenAI.APIError);
});

test('leaving a stream is noticed by the server', async () => {
  const stream = await client.chat.completions.create({ model: 'slow', messages, stream: true, ignore_eos: true });
  for await (const chunk of stream) { void chunk; break; }
  stream.controller.abort();
  const line = 'vllm:num_requests_running{model_name="slow"} 0';
  for (let i = 0; i < 100; ++i) {
    const text = await (await fetch(process.env.STRATA_URL + '/metrics')).text();
    if (text.includes(line)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('the request is still running');
});
